/**
 * The build hook of Nix 1.7: the program in NIX_BUILD_HOOK, asked in lines whether it builds a derivation somewhere else.
 *
 *     argv            program, local system, max-silent-time, 0 or 1 for the trace, timeout
 *     descriptor 0    requests: <1 or 0: is a local slot free> <system> <derivation> <features with commas>
 *     descriptor 2    with 1: messages; a line that begins with "# " is the reply: accept, decline or postpone
 *     descriptor 4    what the builder prints
 *
 * After accept two lines follow on descriptor 0, paths with a space behind each: all inputs with the derivation's closure,
 * and the outputs that are missing. It ends with 0 when they are valid, 100 when the build failed for good, 101 when it
 * took too long. It serves one build; the next request starts another. See serve-protocol, "Build hook of 1.7".
 */
import { type ChildProcess, spawn } from "node:child_process";
import { type ByteString, fromText, toText } from "../formats/byte-string.ts";
import type { Settings } from "../formats/settings/settings.ts";
import { printStorePath, type StorePath } from "../formats/store-path.ts";
import type { BuildHook, HookReply, HookRequest } from "../store/build-hook.ts";
import { computeClosure } from "../store/closure.ts";
import type { Environment } from "../store/directories.ts";
import type { LocalStore } from "../store/local-store.ts";
import { BuildFailure } from "./build-failure.ts";
import { onAbort } from "./build-slots.ts";
import { derivationAttributes, requiredSystemFeatures } from "./derivation-attributes.ts";
import { LogLines } from "./log-lines.ts";
import { printExit } from "./print-exit.ts";

export interface HookProgramOptions {
  readonly program: string;
  readonly env: Environment;
  readonly trace: "printed" | "not-printed";
}

/** @throws BuildFailure (rejects) from `ask` when the hook ends, or says what it should not */
export function hookProgram(store: LocalStore, options: HookProgramOptions): BuildHook {
  /** Waiting for a request. */
  let idle: HookInstance | undefined;
  /** One request at a time: replies carry no name. */
  let turn: Promise<unknown> = Promise.resolve();

  async function askNow(request: HookRequest): Promise<HookReply> {
    idle ??= startHook(store, options);
    const instance = idle;
    const reply = await instance.ask(requestLine(store, request));
    if (reply === "decline" || reply === "postpone") return { kind: reply };
    idle = undefined;
    if (reply !== "accept") {
      instance.kill();
      throw new BuildFailure("misc-failure", `bad hook reply '${reply}'`);
    }
    return {
      kind: "accept",
      machine: "",
      run: (onLog, signal) =>
        instance.build(inputLine(store, request), pathLine(store, request.outputs), onLog, signal),
    };
  }

  return {
    ask(request) {
      const answer = turn.then(() => askNow(request));
      turn = answer.catch(() => {
        idle = undefined;
      });
      return answer;
    },
    close() {
      idle?.kill();
      idle = undefined;
    },
  };
}

function requestLine(store: LocalStore, { drvPath, derivation, localSlot }: HookRequest): string {
  const shown = printStorePath(store.storeDir, drvPath);
  const features = requiredSystemFeatures(derivationAttributes(derivation, shown));
  const strange = features.find((feature) => !/^[0-9A-Za-z+\-._?=]+$/.test(feature));
  if (strange !== undefined) throw new BuildFailure("input-rejected", `invalid system feature '${strange}'`);
  return `${localSlot === "free" ? "1" : "0"} ${derivation.system} ${shown} ${features.join(",")}\n`;
}

/** The other machine needs all of it, to have a store that is whole. */
function inputLine(store: LocalStore, { drvPath, inputs }: HookRequest): string {
  return pathLine(store, [...new Set([...inputs, ...computeClosure(store, [drvPath])])].sort());
}

function pathLine(store: LocalStore, paths: readonly StorePath[]): string {
  return `${paths.map((path) => `${printStorePath(store.storeDir, path)} `).join("")}\n`;
}

interface HookInstance {
  ask(line: string): Promise<string>;
  build(
    inputs: string,
    outputs: string,
    onLog: (bytes: Uint8Array) => void,
    signal: AbortSignal,
  ): ReturnType<Extract<HookReply, { kind: "accept" }>["run"]>;
  kill(): void;
}

function startHook({ settings, reporter }: LocalStore, { program, env, trace }: HookProgramOptions): HookInstance {
  const child = spawnHook(program, settings, env, trace);
  const { stdin, log } = pipesOf(child);
  let onReply: ((reply: string) => void) | undefined;
  let onLog: (bytes: Uint8Array) => void = () => {};
  const show = (line: ByteString) => reporter.message("error", line);
  const lines = new LogLines((line) => {
    if (onReply === undefined || !line.startsWith("# ")) return show(line);
    onReply(line.slice(2));
    onReply = undefined;
  });
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => lines.feed(chunk));
  log.on("data", (chunk: Buffer) => onLog(chunk));
  stdin.on("error", () => {}); // it has ended, as its status will tell
  const ended = new Promise<{ status: number | null; reason: string }>((resolve) => {
    child.on("error", (error) => resolve({ status: null, reason: `cannot be run: ${fromText(error.message)}` }));
    child.on("close", (status, signal) => {
      lines.finish();
      resolve({ status, reason: printExit(status ?? undefined, signal) });
    });
  });

  return {
    async ask(line) {
      const reply = new Promise<string>((resolve) => {
        onReply = resolve;
      });
      stdin.write(Buffer.from(line, "latin1"));
      const answer = await Promise.race([reply, ended]);
      if (typeof answer === "string") return answer;
      throw new BuildFailure("misc-failure", `build hook '${program}' died unexpectedly: it ${answer.reason}`);
    },
    async build(inputs, outputs, takeLog, signal) {
      onLog = takeLog;
      const forget = onAbort(signal, () => kill(child));
      try {
        stdin.end(Buffer.from(inputs + outputs, "latin1"));
        const { status, reason } = await ended;
        if (status === 0) return { kind: "built" };
        const kind = status === 100 ? "permanent" : status === 101 ? "timed-out" : "misc";
        return { kind, reason };
      } finally {
        forget();
      }
    },
    kill: () => kill(child),
  };
}

function spawnHook(
  program: string,
  settings: Settings,
  env: Environment,
  trace: HookProgramOptions["trace"],
): ChildProcess {
  const args = [
    settings.get("system"),
    String(settings.get("max-silent-time")),
    trace === "printed" ? "1" : "0",
    String(settings.get("timeout")),
  ];
  return spawn(toText(program), args.map(toText), {
    cwd: "/",
    env: { ...env },
    stdio: ["pipe", "pipe", "pipe", "ignore", "pipe"],
    detached: true,
  });
}

function pipesOf(child: ChildProcess): { stdin: NodeJS.WritableStream; log: NodeJS.ReadableStream } {
  const log = child.stdio[4];
  if (child.stdin === null || log === null || log === undefined || !("on" in log)) {
    throw new Error("a started hook has its pipes");
  }
  return { stdin: child.stdin, log: log as NodeJS.ReadableStream };
}

/** With what it started. */
function kill(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null) return;
  try {
    process.kill(-child.pid, "SIGTERM");
  } catch {
    // It ended meanwhile.
  }
}
