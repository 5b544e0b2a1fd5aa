/**
 * silo: one executable, many programs, told apart by the name it is called by or by the first argument. Errors become one line and
 * an exit status here.
 */
import { readFileSync } from "node:fs";
import { hiddenApplets, nixApplets, siloApplets } from "./applets/applet-table.ts";
import { type Io, processIo } from "./applets/io.ts";
import { SiloError, UsageError } from "./error.ts";
import { type ByteString, decodeBytes, fromText } from "./formats/byte-string.ts";
import { siloVersion } from "./version.ts";

/** What a shell reports of a program that SIGPIPE killed. */
const brokenPipeStatus = 141;

async function main(): Promise<number> {
  const called = baseName(process.argv0);
  const args = argumentBytes(process.argv.slice(2));
  const io = processIo(programName(called, args));
  try {
    const status = await dispatch(called, args, io);
    io.flush();
    return status;
  } catch (error) {
    return report(error, io);
  }
}

async function dispatch(called: string, args: readonly ByteString[], io: Io): Promise<number> {
  const byName = nixApplets[called];
  if (byName !== undefined) return (await byName()).run(args, io);
  const [command, ...rest] = args;
  if (command === "--version") {
    io.out(`silo ${siloVersion}\n`);
    return 0;
  }
  const load =
    command === undefined ? undefined : (siloApplets[command] ?? nixApplets[command] ?? hiddenApplets[command]);
  if (load !== undefined) return (await load()).run(rest, io);
  const { runSilo } = await import("./applets/silo-help.ts");
  return runSilo(args, io);
}

function report(error: unknown, io: Io): number {
  if (error instanceof SiloError && error.code === "EPIPE") return brokenPipeStatus;
  try {
    io.flush();
  } catch {
    // Standard output is gone or full: the first error is the one to tell.
  }
  if (!(error instanceof SiloError)) {
    io.err(`error: this is a bug in silo, please report it: ${error instanceof Error ? error.stack : String(error)}`);
    return 1;
  }
  io.fail(error.message);
  if (error instanceof UsageError) io.err(`Try '${io.calledAs} --help' for more information.`);
  return error.exitStatus;
}

/** What the user called: a program of Nix, or a command of silo. */
function programName(called: string, [command]: readonly string[]): string {
  if (nixApplets[called] !== undefined || command === undefined) return called;
  return siloApplets[command] === undefined && nixApplets[command] === undefined ? "silo" : `silo ${command}`;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Arguments as byte strings; where one was not UTF-8, the runtime has lost its bytes and the kernel still has them. */
function argumentBytes(args: readonly string[]): readonly ByteString[] {
  if (!args.some((arg) => arg.includes("\ufffd"))) return args.map(fromText);
  const line = decodeBytes(readFileSync("/proc/self/cmdline")).split("\0").slice(0, -1);
  return line.slice(line.length - args.length) as ByteString[];
}

void main().then((status) => process.exit(status));
