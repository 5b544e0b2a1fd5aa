/** Writes tar entries by hand, also such as no program writes. */

export interface TarEntry {
  readonly name: string;
  /** One character, `0` for a file, `5` for a directory, `2` for a symbolic link, `1` for a hard link. */
  readonly type?: string;
  readonly linkname?: string;
  readonly contents?: string;
  readonly mode?: number;
}

const blockSize = 512;

/** All strings are byte strings. */
export function tarArchive(entries: readonly TarEntry[], end: "with-end" | "without-end" = "with-end"): Uint8Array {
  const blocks = entries.flatMap((entry) => [header(entry), padded(entry.contents ?? "")]);
  if (end === "with-end") blocks.push(Buffer.alloc(2 * blockSize));
  return Buffer.concat(blocks);
}

/** A record of a pax header. */
export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length++;
  return `${length}${rest}`;
}

function header({ name, type = "0", linkname = "", contents = "", mode = 0o644 }: TarEntry): Buffer {
  const block = Buffer.alloc(blockSize);
  const octal = (value: number, width: number) => value.toString(8).padStart(width - 1, "0");
  block.write(name.slice(0, 100), 0, "latin1");
  block.write(octal(mode, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(contents.length, 12), 124);
  block.write(octal(1, 12), 136);
  block.write("        ", 148);
  block.write(type, 156, "latin1");
  block.write(linkname.slice(0, 100), 157, "latin1");
  block.write("ustar\0" + "00", 257, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 7)}\0 `, 148);
  return block;
}

function padded(contents: string): Buffer {
  const block = Buffer.alloc(Math.ceil(contents.length / blockSize) * blockSize);
  block.write(contents, "latin1");
  return block;
}
