/** `silo install` and `silo uninstall`: the program, its other names, and what the machine needs for it. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";
import { UsageError } from "../../../error.ts";
import { fromText, toText } from "../../../formats/byte-string.ts";
import { nixApplets } from "../../applet-table.ts";
import { type CommandLine, commandApplet } from "../../command-line.ts";
import type { OptionTable } from "../../command-line/option-spec.ts";
import type { Io } from "../../io.ts";
import { openSession } from "../../session.ts";
import { completionScript } from "../completion.ts";
import { printManual } from "../manual.ts";
import { carryOut, undo } from "./carry-out.ts";
import { CannotInstall, describeStep, subjectOf, type InstallStep, installPlan } from "./plan.ts";
import { systemdUnits } from "./systemd-units.ts";

const options = {
  prefix: { operands: ["DIRECTORY"], help: "Where bin and share are: /usr/local for root, ~/.local for others" },
  "dry-run": { help: "Only tell what would be done" },
} as const satisfies OptionTable;

type Line = CommandLine<keyof typeof options>;

/** Steps that were made, in order, kept where they can be found again. */
function recordFile(prefix: string): string {
  return `${prefix}/share/silo/installed.json`;
}

function prefixOf(line: Line): string {
  const given = line.last("prefix");
  if (given !== undefined) return resolve(toText(given));
  return process.getuid?.() === 0 ? "/usr/local" : `${homedir()}/.local`;
}

function readRecord(prefix: string): InstallStep[] {
  const file = recordFile(prefix);
  if (!existsSync(file)) return [];
  const steps: unknown = JSON.parse(readFileSync(file, "utf8"));
  if (!Array.isArray(steps)) throw new CannotInstall(`Cannot read '${file}': it is not a list of steps`);
  return steps as InstallStep[];
}

function refuseOperands(line: Line, name: string): void {
  if (line.operands.length > 0) throw new UsageError(`'silo ${name}' takes no operands`);
}

export const install = commandApplet(
  {
    name: "silo install",
    family: "silo",
    summary: "Put silo, its other names, completions, units and build users where they belong",
    usage: ["[--prefix DIRECTORY] [--build-users NUMBER] [--dry-run]"],
    examples: [
      { does: "For everybody, as root: a daemon's units and build users, too", command: "sudo ./silo install" },
      { does: "For yourself", command: "./silo install" },
      { does: "Look first", command: "./silo install --dry-run" },
    ],
    options: {
      ...options,
      "build-users": { operands: ["NUMBER"], help: "How many users to build as; 10 unless given" },
    },
  },
  async (line, io) => {
    refuseOperands(line, "install");
    const prefix = prefixOf(line);
    const { directories } = openSession(line, io);
    const buildUsers = Number(line.last("build-users") ?? "10");
    if (!Number.isInteger(buildUsers) || buildUsers < 1 || buildUsers > 256)
      throw new UsageError("'--build-users' needs a number from 1 to 256");
    const isRoot = process.getuid?.() === 0;
    const plan = installPlan({
      prefix,
      executable: process.execPath,
      scope: isRoot ? "machine" : "user",
      confDir: toText(directories.confDir),
      unitDir: prefix === "/usr/local" ? "/etc/systemd/system" : `${prefix}/lib/systemd/system`,
      nixPrograms: Object.keys(nixApplets),
      completions: { bash: completionScript("bash")!, zsh: completionScript("zsh")!, fish: completionScript("fish")! },
      manual: await printManual(),
      units: systemdUnits(`${prefix}/bin`),
      buildUsers,
    });
    if (line.has("dry-run")) {
      const missing = plan.filter((step) => step.kind !== "directory" || !existsSync(step.path));
      for (const step of missing) io.out(fromText(`${describeStep(step)}\n`));
      return 0;
    }
    carryOutAll(plan, prefix, io);
    const back = `silo uninstall${line.has("prefix") ? ` --prefix ${prefix}` : ""}`;
    io.err(`installed below ${prefix}; '${back}' takes it back`);
    for (const hint of nextSteps(prefix, isRoot ? "machine" : "user", io.env)) io.err(hint);
    return 0;
  },
);

/** What is left to the user. */
function nextSteps(prefix: string, scope: "machine" | "user", env: Io["env"]): string[] {
  const steps: string[] = [];
  if (!env["PATH"]?.split(":").includes(`${prefix}/bin`)) steps.push(`Next: put ${prefix}/bin into PATH.`);
  if (scope === "user") return steps;
  const start =
    existsSync("/run/systemd/system") && prefix === "/usr/local"
      ? "systemctl enable --now nix-daemon.socket"
      : "silo daemon";
  return [...steps, `To serve other users of this machine: '${start}'.`];
}

/** Writes down each step as soon as it is made, so that a failure halfway can be undone. */
function carryOutAll(plan: readonly InstallStep[], prefix: string, io: Io): void {
  const record = readRecord(prefix);
  const ours = new Set(record.flatMap((step) => ("path" in step ? [step.path] : [])));
  const known = new Set(record.map(describeStep));
  const recordDir = `${prefix}/share/silo`;
  for (const step of plan) {
    if (carryOut(step, ours) === "found") {
      if (step.kind !== "directory" && !known.has(describeStep(step))) io.err(`left as it is: ${subjectOf(step)}`);
      continue;
    }
    if (known.has(describeStep(step))) continue;
    // What a step writes is not needed to take it back, but for what others may change.
    record.push(step.kind === "file" ? { ...step, contents: "" } : step);
    if (!existsSync(recordDir)) {
      if (!existsSync(`${prefix}/share`)) continue; // written down with what comes next
      mkdirSync(recordDir);
    }
    writeFileSync(recordFile(prefix), JSON.stringify(record, null, 2));
  }
}

export const uninstall = commandApplet(
  {
    name: "silo uninstall",
    family: "silo",
    summary: "Take back what 'silo install' made; stores stay",
    usage: ["[--prefix DIRECTORY] [--dry-run]"],
    examples: [{ does: "As the user that installed it", command: "silo uninstall" }],
    options,
  },
  (line, io) => {
    refuseOperands(line, "uninstall");
    const prefix = prefixOf(line);
    const record = readRecord(prefix);
    if (record.length === 0)
      throw new CannotInstall(
        `Cannot uninstall: there is no installation below '${prefix}' ('--prefix' names another place)`,
      );
    // Of the record itself nothing must be left when the directories go.
    if (!line.has("dry-run")) rmSync(`${prefix}/share/silo`, { recursive: true, force: true });
    for (const step of record.toReversed()) {
      if (line.has("dry-run")) io.out(fromText(`delete ${subjectOf(step)}\n`));
      else if (undo(step) === "kept" && step.kind !== "directory")
        io.err(`left as it is: ${subjectOf(step)}, which was changed`);
    }
    if (!line.has("dry-run")) io.err(`uninstalled from ${prefix}; stores are left as they are`);
    return 0;
  },
);
