/**
 * Twenty builds and three downloads that only pretend, told to the printer of messages as real ones are:
 * `progress-driver.ts [FLAG...]`. With FLAGS as commands of silo take them. The time it takes is in SILO_TEST_MS; SILO_TEST_END
 * says how it ends: `failure`, `crash` or `hang`. SILO_TEST_GATES names a directory: at each step named there the driver waits until
 * the file of this name is gone.
 */
import { existsSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { readCommonFlags } from "../../src/applets/command-line/common-options.ts";
import { processIo } from "../../src/applets/io.ts";
import { messagePrinter } from "../../src/applets/message-printer.ts";
import { chooseTalk } from "../../src/applets/progress/talk.ts";
import { fromText } from "../../src/formats/byte-string.ts";
import type { Activity } from "../../src/store/reporter.ts";

const words = process.argv.slice(2);
const given = new Map<string, ReturnType<typeof fromText>[]>();
for (const word of words) {
  if (word === "-L") given.set("print-build-logs", []);
  else if (word === "-Q") given.set("no-build-output", []);
  else given.set("log-format", [fromText(word)]);
}
const io = processIo("progress-driver");
const flags = readCommonFlags(given, () => 0, []);
const talk = chooseTalk(flags, io.env, io.terminal() === undefined ? "no" : "yes");
const reporter = messagePrinter(io, flags, () => talk);
const gates = process.env["SILO_TEST_GATES"];

const hash = "0123456789abcdfghijklmnpqrsvwxyz";
const total = 20;
const counts = { done: 0, failed: 0, running: 0 };

async function gate(step: string): Promise<void> {
  if (gates === undefined || !existsSync(`${gates}/${step}`)) return;
  writeFileSync(`${gates}/${step}.reached`, "");
  while (existsSync(`${gates}/${step}`)) await sleep(5);
}

function startBuild(index: number, builds: Activity) {
  const name = index === 7 ? "日本語-パッケージ-1.0" : `package-number-${index}-1.${index}`;
  const drvPath = fromText(`/nix/store/${hash}-${name}.drv`);
  const activity = reporter.start({
    kind: "build",
    level: "info",
    text: `building '${drvPath}'`,
    fields: [drvPath, "", 1, 1],
    parent: builds,
  });
  activity.result({ kind: "set-phase", phase: "buildPhase" });
  return activity;
}

function tell(builds: Activity): void {
  const { done, failed, running } = counts;
  builds.result({ kind: "progress", done, expected: total - failed, running, failed });
}

async function main(): Promise<void> {
  const realise = reporter.start({ kind: "realise", level: "error", text: "" });
  const builds = reporter.start({ kind: "builds", level: "error", text: "" });
  const copies = reporter.start({ kind: "copy-paths", level: "error", text: "" });
  const log = (activity: Activity, line: string) => activity.result({ kind: "build-log-line", line: fromText(line) });
  tell(builds);

  for (let fetched = 0; fetched < 3; fetched++) {
    const path = `/nix/store/${hash}-source-${fetched}.tar.gz`;
    const fields = [path, "https://cache.example.org", "local"];
    const copy = reporter.start({ kind: "copy-path", level: "info", text: `copying path '${path}'`, fields });
    const size = 4 * 1024 * 1024;
    copy.result({ kind: "progress", done: size, expected: size, running: 0, failed: 0 });
    copy.stop();
    copies.result({ kind: "progress", done: fetched + 1, expected: 3, running: 0, failed: 0 });
  }

  const running = Array.from({ length: 12 }, (_, index) => startBuild(index, builds));
  counts.running = running.length;
  tell(builds);
  for (let step = 0; step < 40; step++) {
    running.forEach((activity, index) => {
      log(activity, `step ${step} of \x1b[31mbuild\x1b[0m ${index}: \x1b[2J\tgcc -O2 ${"-Wall ".repeat(40)}\x07`);
    });
    await sleep(5);
  }
  await gate("twelve-running");
  reporter.message("warning", `warning: something to be read above the view, number ${1}`);
  await gate("message");
  const failing = running.pop()!;
  for (const activity of running) activity.stop();
  counts.done = 11;
  counts.running = 1;
  tell(builds);
  if (process.env["SILO_TEST_END"] === "crash") setTimeout(() => JSON.parse("{"), 20);
  await gate("one-running");
  failing.stop();
  counts.failed = 1;
  counts.running = 0;
  tell(builds);
  reporter.message("error", `error: builder for '/nix/store/${hash}-last.drv' failed with exit code 1`);
  await gate("failed");
  const rest = Array.from({ length: 8 }, (_, index) => startBuild(12 + index, builds));
  for (const activity of rest) activity.stop();
  counts.done = 19;
  tell(builds);
  copies.stop();
  builds.stop();
  realise.stop();
  io.flush();
}

void main().then(() => process.exit(0));
