/** `--generate-binary-cache-key`: an Ed25519 pair of keys. */
import { UsageError } from "../../error.ts";
import { toText } from "../../formats/byte-string.ts";
import { generateKey, printKey, publicKeyOf } from "../../formats/signature.ts";
import { O_CREAT, O_TRUNC, O_WRONLY, open, withDescriptor, writeAll } from "../../sys/descriptor.ts";
import type { OperationContext } from "./operation.ts";

export function generateBinaryCacheKey({ operands }: OperationContext): number {
  const [name, secretFile, publicFile, ...others] = operands;
  if (name === undefined || secretFile === undefined || publicFile === undefined || others.length > 0) {
    throw new UsageError("three arguments expected");
  }
  const key = generateKey(toText(name));
  writeFile(publicFile, printKey(publicKeyOf(key)), 0o666);
  writeFile(secretFile, printKey(key), 0o600);
  return 0;
}

/** Without a newline at the end, as Nix does. */
function writeFile(path: string, text: string, mode: number): void {
  withDescriptor(open(path, O_WRONLY | O_CREAT | O_TRUNC, mode), (fd) => writeAll(fd, Buffer.from(text, "utf8")));
}
