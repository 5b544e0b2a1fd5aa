/**
 * Hashing many paths on two processors: another process of silo takes from the same queue. The queue is a file in memory
 * with a record for each path; processes that inherited the descriptor share its position, so each record goes to one.
 *
 *     record = size (f64, little-endian; bytes of the NAR, 0 when unknown), length of the name (1 byte), name, zeros
 *
 * The helper answers with a line for each: `<name> <sha256 in base16> <size>`, or `<name> ! <error as a JSON string>`.
 */
import { SiloError } from "../error.ts";
import { decodeBytes } from "../formats/byte-string.ts";
import { printBareHash } from "../formats/hash.ts";
import type { StorePath } from "../formats/store-path.ts";
import { close, O_RDONLY, open, pipe, read, writeAll } from "../sys/descriptor.ts";
import { memoryFile } from "../sys/memory-file.ts";
import { ownCommand } from "../sys/own-program.ts";
import { poll } from "../sys/poll.ts";
import { hashTree, type NarDigest } from "./tree/nar-hash.ts";

/** The hidden command that runs {@link runHashHelper}. */
export const hashHelperCommand = "__hash-paths";

export interface PathToHash {
  readonly path: StorePath;
  /** Bytes of the NAR, as far as the database knows. */
  readonly narSize: number | undefined;
}

export type HashOutcome = NarDigest | SiloError;

/** What went wrong in the helper. */
export class CannotHashPath extends SiloError {
  readonly code = "cannot-hash-path";
}

const recordSize = 256;
/** Less is hashed sooner than a helper starts. */
const worthHelping = 64 * 1024 * 1024;

/**
 * Hashes them all, the large ones first when there is enough for two.
 * @param onBegin told of each path before anything of it is read here, or when the helper is done with it
 * @param onOutcome in no order; what it throws ends the work
 */
export function hashPaths(
  realStoreDir: string,
  paths: readonly PathToHash[],
  onBegin: (path: StorePath) => void,
  onOutcome: (path: StorePath, outcome: HashOutcome) => void,
): void {
  const total = paths.reduce((sum, { narSize = 0 }) => sum + narSize, 0);
  if (paths.length < 2 || total < worthHelping || navigator.hardwareConcurrency < 2) {
    for (const each of paths) hashHere(realStoreDir, each, onBegin, onOutcome);
    return;
  }
  const byName = new Map<string, PathToHash>(paths.map((each) => [each.path, each]));
  const sorted = [...paths].sort((a, b) => (b.narSize ?? 0) - (a.narSize ?? 0));
  const queue = makeQueue(sorted);
  const helper = startHelper(realStoreDir, queue, (name, outcome) => {
    const each = byName.get(name);
    if (each === undefined || !byName.delete(name)) return;
    onBegin(each.path);
    onOutcome(each.path, outcome);
  });
  try {
    for (let job = takeFromQueue(queue); job !== undefined; job = takeFromQueue(queue)) {
      helper.listen(0);
      const each = byName.get(job.name)!;
      byName.delete(job.name);
      hashHere(realStoreDir, each, onBegin, onOutcome);
    }
    while (byName.size > 0 && helper.listen("forever")) {}
  } finally {
    helper.close();
    close(queue);
  }
  // The helper died over these.
  for (const each of byName.values()) hashHere(realStoreDir, each, onBegin, onOutcome);
}

function hashHere(
  realStoreDir: string,
  { path, narSize }: PathToHash,
  onBegin: (path: StorePath) => void,
  onOutcome: (path: StorePath, outcome: HashOutcome) => void,
): void {
  onBegin(path);
  let outcome: HashOutcome;
  try {
    outcome = hashTree(`${realStoreDir}/${path}`, "sha256", undefined, narSize);
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    outcome = error;
  }
  onOutcome(path, outcome);
}

function makeQueue(paths: readonly PathToHash[]): number {
  const records = Buffer.alloc(paths.length * recordSize);
  paths.forEach(({ path, narSize = 0 }, i) => {
    const at = i * recordSize;
    records.writeDoubleLE(narSize, at);
    records[at + 8] = path.length;
    records.write(path, at + 9, "latin1");
  });
  const file = memoryFile("silo-paths", [records]);
  try {
    // The kernel moves the position of an open file under a lock, except for what memfd_create itself returns.
    return open(`/proc/self/fd/${file}`, O_RDONLY);
  } finally {
    close(file);
  }
}

const record = Buffer.alloc(recordSize);

function takeFromQueue(fd: number): { readonly name: string; readonly narSize: number } | undefined {
  if (read(fd, record) !== recordSize) return undefined;
  return { name: decodeBytes(record.subarray(9, 9 + record[8]!)), narSize: record.readDoubleLE(0) };
}

interface HashHelper {
  /** Hears what the helper has to say by now, or waits for something; false when it has ended. */
  listen(timeoutMs: 0 | "forever"): boolean;
  close(): void;
}

function startHelper(
  realStoreDir: string,
  queue: number,
  onOutcome: (name: string, outcome: HashOutcome) => void,
): HashHelper {
  const { spawn } = process.getBuiltinModule("node:child_process"); // few programs verify, and all load this file
  const ends = pipe();
  const [program, ...args] = ownCommand();
  const child = spawn(program!, [...args, hashHelperCommand, realStoreDir], {
    argv0: "silo",
    stdio: [queue, ends.write, "inherit"],
  });
  child.on("error", () => {}); // then nobody answers, and the work is ours
  child.unref();
  close(ends.write);
  const buffer = Buffer.alloc(65536);
  let pending = "";
  return {
    listen(timeoutMs) {
      const [found] = poll([{ fd: ends.read, wait: "readable" }], timeoutMs);
      if (!found!.readable) return true;
      const count = read(ends.read, buffer);
      if (count === 0) return false;
      const lines = (pending + decodeBytes(buffer.subarray(0, count))).split("\n");
      pending = lines.pop()!;
      for (const line of lines) {
        const [name = "", hash = "", ...rest] = line.split(" ");
        if (hash === "!") onOutcome(name, new CannotHashPath(String(JSON.parse(rest.join(" ")))));
        else onOutcome(name, { hash: { algo: "sha256", bytes: Buffer.from(hash, "hex") }, size: Number(rest[0]) });
      }
      return true;
    },
    close: () => close(ends.read),
  };
}

/** Takes the queue from standard input and answers on standard output. */
export function runHashHelper(realStoreDir: string): void {
  for (let job = takeFromQueue(0); job !== undefined; job = takeFromQueue(0)) {
    let answer: string;
    try {
      const { hash, size } = hashTree(`${realStoreDir}/${job.name}`, "sha256", undefined, job.narSize);
      answer = `${printBareHash(hash, "base16")} ${size}`;
    } catch (error) {
      if (!(error instanceof SiloError)) throw error;
      answer = `! ${JSON.stringify(error.message)}`;
    }
    writeAll(1, Buffer.from(`${job.name} ${answer}\n`, "latin1"));
  }
}
