/** Carrying out an installation's steps, and undoing those that were carried out. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { findGroup, findUser } from "../../../sys/user-database.ts";
import { CannotInstall, type InstallStep } from "./plan.ts";

/** `made` is undone by uninstalling; `found` was there before and stays. */
export type StepOutcome = "made" | "found";

/** @param ours paths that an earlier installation made, which may be replaced @throws CannotInstall */
export function carryOut(step: InstallStep, ours: ReadonlySet<string>): StepOutcome {
  try {
    return carryOutStep(step, ours);
  } catch (error) {
    if (error instanceof CannotInstall || !(error instanceof Error)) throw error;
    throw new CannotInstall(`Cannot install: ${error.message}`, { cause: error });
  }
}

function carryOutStep(step: InstallStep, ours: ReadonlySet<string>): StepOutcome {
  switch (step.kind) {
    case "directory":
      return mkdirSync(step.path, { recursive: true }) === undefined ? "found" : "made";
    case "executable":
      if (existsSync(step.path)) {
        // Who has put it there by hand takes it away by hand.
        if (realpathSync(step.path) === realpathSync(step.source)) return ours.has(step.path) ? "made" : "found";
        refuseForeign(step.path, ours);
      }
      // Through a rename, since the file may be what is running.
      copyFileSync(step.source, `${step.path}.new`);
      chmodSync(`${step.path}.new`, 0o755);
      renameSync(`${step.path}.new`, step.path);
      return "made";
    case "file":
      if (existsSync(step.path)) refuseForeign(step.path, ours);
      writeFileSync(step.path, step.contents, { mode: step.mode });
      return "made";
    case "configuration":
      if (existsSync(step.path)) return ours.has(step.path) ? "made" : "found";
      writeFileSync(step.path, step.contents, { mode: 0o644 });
      return "made";
    case "link":
      return makeLink(step.path, step.target, ours);
    case "group":
      if (findGroup(step.name) !== undefined) return "found";
      runFirst([
        ["groupadd", "-r", step.name],
        ["addgroup", "-S", step.name],
      ]);
      return "made";
    case "user":
      if (findUser(step.name) !== undefined) return "found";
      runFirst([
        [
          "useradd",
          "-r",
          "-g",
          step.group,
          "-G",
          step.group,
          "-d",
          "/var/empty",
          "-s",
          "/sbin/nologin",
          "-M",
          step.name,
        ],
        ["adduser", "-S", "-D", "-H", "-h", "/var/empty", "-s", "/sbin/nologin", "-G", step.group, step.name],
      ]);
      if (!findGroup(step.group)?.members.includes(step.name)) {
        runFirst([
          ["usermod", "-a", "-G", step.group, step.name],
          ["addgroup", step.name, step.group],
        ]);
      }
      return "made";
  }
}

function refuseForeign(path: string, ours: ReadonlySet<string>): void {
  if (!ours.has(path))
    throw new CannotInstall(`Cannot install '${path}': it is there already, and silo did not put it there`);
}

function makeLink(path: string, target: string, ours: ReadonlySet<string>): StepOutcome {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there !== undefined) {
    if (there.isSymbolicLink() && readlinkSync(path) === target) return ours.has(path) ? "made" : "found";
    return "found"; // another Nix's program stays what it is
  }
  symlinkSync(target, path);
  return "made";
}

/** Tries Debian's programs, then busybox's. */
function runFirst(commands: readonly (readonly [string, ...string[]])[]): void {
  let failure: unknown;
  for (const [program, ...args] of commands) {
    try {
      execFileSync(program, args, { stdio: ["ignore", "ignore", "pipe"] });
      return;
    } catch (error) {
      failure ??= error;
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) break;
    }
  }
  throw new CannotInstall(
    `Cannot make users and groups: ${failure instanceof Error ? failure.message.trim() : failure}`,
  );
}

/** Takes back a step that was made. What has changed hands since, or is not empty, stays. */
export function undo(step: InstallStep): "gone" | "kept" {
  switch (step.kind) {
    case "directory":
      try {
        rmdirSync(step.path);
        return "gone";
      } catch {
        return "kept"; // somebody else has something in it
      }
    case "configuration":
      if (existsSync(step.path) && readFileSync(step.path, "utf8") !== step.contents) return "kept";
      rmSync(step.path, { force: true });
      return "gone";
    case "user":
      if (findUser(step.name) !== undefined)
        runFirst([
          ["userdel", step.name],
          ["deluser", step.name],
        ]);
      return "gone";
    case "group":
      if (findGroup(step.name) !== undefined)
        runFirst([
          ["groupdel", step.name],
          ["delgroup", step.name],
        ]);
      return "gone";
    default:
      rmSync(step.path, { force: true });
      return "gone";
  }
}
