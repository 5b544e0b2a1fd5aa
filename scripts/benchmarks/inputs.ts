/** The inputs of the benchmarks, the same in every run: a large file, a tree of many files, a graph of references. */
import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync, writeSync } from "node:fs";

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function noise(random: () => number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = random() * 256;
  return bytes;
}

export function makeLargeFile(path: string, mebibytes: number): void {
  const block = noise(randomNumbers(1), 1 << 20);
  const fd = openSync(path, "w");
  for (let i = 0; i < mebibytes; i++) {
    new DataView(block.buffer).setUint32(0, i);
    writeSync(fd, block);
  }
  closeSync(fd);
}

/**
 * Files of up to 8 KiB, the small ones more often; a fifth executable, a twentieth symbolic links, a hundred in a directory.
 * @param copies how many of the files have the contents of another
 */
export function makeManyFiles(path: string, count: number, copies: number): void {
  const random = randomNumbers(2);
  const pool = noise(random, 1 << 20);
  mkdirSync(path);
  for (let i = 0; i < count; i++) {
    const directory = `${path}/d${Math.floor(i / 100)}`;
    if (i % 100 === 0) mkdirSync(directory);
    const name = `${directory}/file-${i}`;
    if (i % 20 === 7) {
      symlinkSync(`../d0/file-${i % 100}`, name);
      continue;
    }
    const contents = i < copies ? i % 50 : i;
    const size = Math.floor(8192 * ((contents * 0.61803398875) % 1) ** 2);
    const from = Math.floor(((contents * 0.7548776662) % 1) * (pool.length - size - 8));
    const bytes = Buffer.from(pool.subarray(from, from + size + 8));
    bytes.writeUInt32LE(contents, 0);
    writeFileSync(name, bytes, { mode: contents % 5 === 0 ? 0o755 : 0o644 });
  }
}

/** A registration for --load-db of `count` paths, each referring to up to 10 that come before; the last one to a lot. */
export function makeRegistration(storeDir: string, count: number): { readonly text: string; readonly top: string } {
  const random = randomNumbers(3);
  const paths: string[] = [];
  const lines: string[] = [];
  for (let i = 0; i < count; i++) {
    const hash = createHash("sha256").update(`path ${i}`).digest("hex");
    const path = `${storeDir}/${hash.slice(0, 32).replaceAll("e", "v")}-package-${i}.${i % 17}`;
    const references = new Set<string>();
    if (i > 0) references.add(paths[i - 1]!);
    for (let n = Math.floor(random() * 10); n > 0 && i > 0; n--) references.add(paths[Math.floor(random() ** 2 * i)]!);
    paths.push(path);
    lines.push(path, hash, String(1000 + i), "", String(references.size), ...[...references].sort());
  }
  return { text: `${lines.join("\n")}\n`, top: paths[count - 1]! };
}
