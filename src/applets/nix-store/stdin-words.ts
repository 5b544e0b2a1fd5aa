/** `--stdin`: operands from standard input, as many as a command line could not hold. */
import type { ByteString } from "../../formats/byte-string.ts";
import { read } from "../../sys/descriptor.ts";
import { isTerminal } from "../../sys/terminal.ts";

/** Words between blanks; none from a terminal. @throws SystemError */
export function readWords(fd: number): ByteString[] {
  if (isTerminal(fd)) return [];
  const words: ByteString[] = [];
  const buffer = Buffer.alloc(64 * 1024);
  let rest = "";
  for (let size = read(fd, buffer); size > 0; size = read(fd, buffer)) {
    const pieces = (rest + buffer.toString("latin1", 0, size)).split(/[ \t\n\v\f\r]+/);
    rest = pieces.pop()!;
    for (const word of pieces) if (word !== "") words.push(word as ByteString);
  }
  if (rest !== "") words.push(rest as ByteString);
  return words;
}
