/**
 * Nix 1.7's substituters: programs that are asked and fetch, in lines.
 *
 *     PROGRAM --query                   first line of output: ready; ends with status 0 instead when it is switched off
 *       have P1 P2 … LF                 answer: those it has, a line each, and an empty line
 *       info P1 P2 … LF                 answer: for each path, deriver, number of references, references, download size,
 *                                       NAR size (0 for not known), a line each; and an empty line
 *     PROGRAM --substitute PATH DEST    writes PATH's tree to DEST; output: a line without meaning, and the NAR's hash or nothing
 *
 * All settings are in the variable _NIX_OPTIONS. See serve-protocol, "Substituter programs".
 */
import { type ChildProcess, spawn } from "node:child_process";
import { SiloError } from "../error.ts";
import { fromText, toText } from "../formats/byte-string.ts";
import { equalHashes, type Hash, parseHash, printHash } from "../formats/hash.ts";
import { packSettings } from "../formats/settings/pack.ts";
import { parseFullStorePath, printStorePath, type StoreDir, type StorePath } from "../formats/store-path.ts";
import type { Environment } from "../store/directories.ts";
import { type LocalStore, realPath, showPath } from "../store/local-store.ts";
import { scratchPath } from "../store/scratch-path.ts";
import type { SubstitutablePathInfo, Substituter } from "../store/substituter.ts";
import { hashTree } from "../store/tree/nar-hash.ts";
import { walkTree } from "../store/tree/walk.ts";
import { deleteTree } from "../sys/delete-tree.ts";
import { exists } from "../sys/names.ts";
import { LineQueue, ProgramEnded } from "./line-queue.ts";

export class SubstituterFailed extends SiloError {
  readonly code = "substituter-failed";
}

/** References of one path at most: what one that counts wrong can make us read. */
const maxReferences = 1_000_000;

/** The programs that NIX_SUBSTITUTERS names, with colons between; undefined when it leaves the choice to us. */
export function substituterPrograms(env: Environment): string[] | undefined {
  const value = env["NIX_SUBSTITUTERS"];
  if (value === undefined || value === "default") return undefined;
  return value
    .split(":")
    .filter((program) => program !== "")
    .map(fromText);
}

/** Started when first asked. */
export function substituterProgram(store: LocalStore, program: string, callerEnv: Environment): Substituter {
  const name = program.slice(program.lastIndexOf("/") + 1);
  const env = { ...callerEnv, _NIX_OPTIONS: toText(packSettings(store.settings)) };
  const say = (line: string) => store.reporter.message("error", `${name}: ${line}`);
  let query: Promise<QueryProgram | "disabled"> | undefined;
  /** One question at a time: answers carry no name. */
  let turn: Promise<unknown> = Promise.resolve();

  async function ask<T>(
    command: string,
    paths: readonly StorePath[],
    read: (lines: LineQueue) => Promise<T>,
    none: T,
  ): Promise<T> {
    const answer = turn.then(async () => {
      query ??= startQuery(program, name, env, say);
      const running = await query;
      if (running === "disabled") return none;
      const list = paths.map((path) => `${showPath(store, path)} `).join("");
      running.write(`${command} ${list}\n`);
      return read(running.lines);
    });
    turn = answer.catch(() => {});
    return answer;
  }

  return {
    name: program,
    priority: 0,
    trusted: true, // chosen by whoever runs us; such programs check signatures themselves
    have: (paths) => ask("have", paths, (lines) => readHave(store.storeDir, lines), new Set()),
    info: (paths) => ask("info", paths, (lines) => readInfos(store.storeDir, lines, new Set(paths)), new Map()),
    async fetch(path, visitor, signal) {
      const scratch = realPath(store, scratchPath(store, "substitute"));
      try {
        const stated = await substitute(store, { program, name, env, say }, path, scratch, signal);
        walkTree(scratch, visitor);
        return { narHash: stated };
      } finally {
        deleteTree(scratch);
      }
    },
    close() {
      void query?.then((running) => running !== "disabled" && running.close());
      query = undefined;
    },
  };
}

interface QueryProgram {
  readonly lines: LineQueue;
  write(text: string): void;
  close(): void;
}

type Say = (line: string) => void;

async function startQuery(
  program: string,
  name: string,
  env: Environment,
  say: Say,
): Promise<QueryProgram | "disabled"> {
  const child = spawn(toText(program), ["--query"], { env: { ...env }, stdio: ["pipe", "pipe", "pipe"] });
  const { stdin, stdout, stderr } = child;
  const lines = new LineQueue(name, stdout);
  showLines(stderr, say);
  stdin.on("error", () => {}); // it has ended, as its output tells
  const ended = endOf(child, name);
  try {
    await lines.next();
  } catch (error) {
    if (!(error instanceof ProgramEnded)) throw error;
    const { status, reason } = await ended;
    if (status === 0) return "disabled";
    throw new SubstituterFailed(`substituter '${name}' died unexpectedly: it ${reason}`);
  }
  return { lines, write: (text) => void stdin.write(Buffer.from(text, "latin1")), close: () => void stdin.end() };
}

async function readHave(dir: StoreDir, lines: LineQueue): Promise<Set<StorePath>> {
  const found = new Set<StorePath>();
  for (let line = await lines.next(); line !== ""; line = await lines.next()) found.add(parseFullStorePath(dir, line));
  return found;
}

async function readInfos(
  dir: StoreDir,
  lines: LineQueue,
  asked: ReadonlySet<StorePath>,
): Promise<Map<StorePath, SubstitutablePathInfo>> {
  const infos = new Map<StorePath, SubstitutablePathInfo>();
  for (let line = await lines.next(); line !== ""; line = await lines.next()) {
    const path = parseFullStorePath(dir, line);
    if (!asked.has(path)) throw new SubstituterFailed(`got unexpected path '${line}' from substituter`);
    const deriver = await lines.next();
    const references: StorePath[] = [];
    const count = parseNumber(await lines.next(), maxReferences);
    for (let i = 0; i < count; i++) references.push(parseFullStorePath(dir, await lines.next()));
    const downloadSize = parseNumber(await lines.next(), Number.MAX_SAFE_INTEGER);
    const narSize = parseNumber(await lines.next(), Number.MAX_SAFE_INTEGER);
    infos.set(path, {
      path,
      references,
      deriver: deriver === "" ? undefined : parseFullStorePath(dir, deriver),
      downloadSize: downloadSize === 0 ? undefined : downloadSize,
      narSize: narSize === 0 ? undefined : narSize,
      narHash: undefined,
      signatures: [],
      contentAddress: undefined,
    });
  }
  return infos;
}

function parseNumber(text: string, max: number): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : undefined;
  if (value === undefined || value > max) {
    throw new SubstituterFailed(`integer expected from substituter, found ${JSON.stringify(text)}`);
  }
  return value;
}

interface Program {
  readonly program: string;
  readonly name: string;
  readonly env: Environment;
  readonly say: Say;
}

/** Resolves when the tree is at `destination`, with the hash that it was said to have, if that is one we compute anyway. */
async function substitute(
  store: LocalStore,
  { program, name, env, say }: Program,
  path: StorePath,
  destination: string,
  signal: AbortSignal,
): Promise<Hash | undefined> {
  const shown = printStorePath(store.storeDir, path);
  const child = spawn(toText(program), ["--substitute", toText(shown), toText(destination)], {
    argv0: toText(name),
    env: { ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    if (output.length < maxAnswer) output += chunk.toString("latin1");
  });
  const limits = watchLimits(store, child, shown);
  showLines(child.stderr, (line) => {
    limits.heard();
    say(line);
  });
  const stop = () => killGroup(child);
  signal.addEventListener("abort", stop, { once: true });
  try {
    const { status, reason } = await endOf(child, name);
    if (limits.exceeded !== undefined) throw new SubstituterFailed(limits.exceeded);
    if (status !== 0) throw new SubstituterFailed(`fetching path '${shown}' ${reason}`);
    if (!exists(destination)) throw new SubstituterFailed(`substitute did not produce path '${shown}'`);
    return statedHash(shown, output.split("\n")[1] ?? "", destination);
  } finally {
    limits.stop();
    signal.removeEventListener("abort", stop);
  }
}

const maxAnswer = 64 * 1024;

/** Hashes of other algorithms are compared here. */
function statedHash(shown: string, text: string, destination: string): Hash | undefined {
  if (text === "") return undefined;
  const stated = parseHash(text);
  if (stated.algo === "sha256") return stated;
  const { hash } = hashTree(destination, stated.algo);
  if (equalHashes(stated, hash)) return undefined;
  const [expected, actual] = [stated, hash].map((each) => printHash(each, "base32"));
  throw new SubstituterFailed(`hash mismatch in downloaded path '${shown}': expected ${expected}, got ${actual}`);
}

/** The settings `max-silent-time` and `timeout`. */
function watchLimits({ settings }: LocalStore, child: ChildProcess, shown: string) {
  const silentMs = settings.get("max-silent-time") * 1000;
  const totalMs = settings.get("timeout") * 1000;
  const watch = { exceeded: undefined as string | undefined, heard: restart, stop };
  const total = totalMs > 0 ? setTimeout(() => end(`after ${totalMs / 1000} seconds`), totalMs) : undefined;
  let silence: ReturnType<typeof setTimeout> | undefined;
  function end(when: string): void {
    watch.exceeded ??= `substitution of '${shown}' timed out ${when}`;
    killGroup(child);
  }
  function restart(): void {
    clearTimeout(silence);
    if (silentMs > 0) silence = setTimeout(() => end(`after ${silentMs / 1000} seconds of silence`), silentMs);
  }
  function stop(): void {
    clearTimeout(total);
    clearTimeout(silence);
  }
  restart();
  return watch;
}

function endOf(child: ChildProcess, name: string): Promise<{ status: number | null; reason: string }> {
  return new Promise((resolve) => {
    child.on("error", (error) => resolve({ status: null, reason: `cannot be run: ${fromText(error.message)}` }));
    child.on("close", (status, signal) => {
      const reason = signal === null ? `failed with exit code ${status}` : `failed due to signal ${signal}`;
      resolve({ status, reason: `${reason} (${name})` });
    });
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null) return;
  try {
    process.kill(-child.pid, "SIGTERM");
  } catch {
    // It ended meanwhile.
  }
}

function showLines(stream: NodeJS.ReadableStream, say: Say): void {
  let rest = "";
  stream.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString("latin1")).split("\n");
    rest = lines.pop()!.slice(0, maxAnswer);
    for (const line of lines) say(line);
  });
  stream.on("end", () => rest !== "" && say(rest));
}
