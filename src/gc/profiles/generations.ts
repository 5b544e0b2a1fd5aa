/**
 * Generations of profiles: the links `<profile>-<number>-link` beside a profile, which is itself a link to the current one.
 * See the Nix manual, "nix-env --delete-generations" and "nix-collect-garbage".
 */
import { SiloError } from "../../error.ts";
import { readDirectory } from "../../sys/directory.ts";
import { kindOf, readlink, tryUnlink } from "../../sys/names.ts";
import { tryLstat } from "../../sys/stat.ts";
import { isSystemError, SystemError } from "../../sys/system-error.ts";
import { lockPaths } from "../../store/path-locks.ts";
import type { Reporter } from "../../store/reporter.ts";

export interface Generation {
  readonly number: number;
  /** The link. */
  readonly path: string;
  /** Seconds since the epoch. */
  readonly createdSec: number;
}

/** Which generations go; the current one never does. */
export type GenerationsToDelete =
  | { readonly kind: "old" }
  /** All older than the one that was current so many days ago. */
  | { readonly kind: "older-than"; readonly days: number }
  | { readonly kind: "numbers"; readonly numbers: readonly number[] }
  /** All but the last so many before the current one, and newer ones. */
  | { readonly kind: "keep-last"; readonly count: number };

export class BadGenerations extends SiloError {
  readonly code = "bad-generations";
}

/** `30d`; at least a day. @throws BadGenerations */
export function parseAge(text: string): number {
  const days = /^([0-9]{1,6})d$/.exec(text)?.[1];
  if (days === undefined || Number(days) < 1) {
    throw new BadGenerations(`invalid number of days specifier '${text}', expected something like '14d'`);
  }
  return Number(days);
}

/** `old`, `30d`, `+5`, or numbers. @throws BadGenerations */
export function parseGenerations(words: readonly string[]): GenerationsToDelete {
  const [first = "", ...rest] = words;
  if (rest.length === 0) {
    if (first === "old") return { kind: "old" };
    if (first.endsWith("d")) return { kind: "older-than", days: parseAge(first) };
    const count = /^\+([0-9]{1,9})$/.exec(first)?.[1];
    if (count !== undefined && Number(count) > 0) return { kind: "keep-last", count: Number(count) };
  }
  const numbers = words.flatMap((word) => word.split(","));
  if (!numbers.every((word) => /^[0-9]{1,15}$/.test(word))) {
    throw new BadGenerations(`invalid generations '${words.join(" ")}', expected 'old', '30d', '+5' or numbers`);
  }
  return { kind: "numbers", numbers: numbers.map(Number) };
}

/** All generations of a profile, oldest first. @throws SystemError */
export function findGenerations(profile: string): Generation[] {
  const { directory, name } = split(profile);
  const found: Generation[] = [];
  for (const entry of readDirectory(directory)) {
    const number = generationNumber(name, entry.name);
    if (number === undefined) continue;
    const path = `${directory}/${entry.name}`;
    const status = tryLstat(path);
    if (status !== undefined) found.push({ number, path, createdSec: status.mtimeSec });
  }
  return found.sort((a, b) => a.number - b.number);
}

/** The number of the generation that the profile points to, by a relative or an absolute link. */
export function currentGeneration(profile: string): number | undefined {
  if (kindOf(profile) !== "symlink") return undefined;
  const { directory, name } = split(profile);
  const target = split(readlink(profile));
  return target.directory === "" || target.directory === directory ? generationNumber(name, target.name) : undefined;
}

export interface DeleteGenerationsOptions {
  readonly which: GenerationsToDelete;
  readonly run: "delete" | "dry";
  readonly reporter: Reporter;
  /** Seconds since the epoch. */
  readonly nowSec: number;
}

/** Deletes links of a profile, with the profile locked. Says what it does. @throws SystemError */
export function deleteGenerations(profile: string, options: DeleteGenerationsOptions): void {
  const { reporter, run } = options;
  const locks = lockPaths([profile], () => reporter.message("error", `waiting for lock on profile '${profile}'`));
  try {
    const doomed = chooseGenerations(findGenerations(profile), currentGeneration(profile), options);
    for (const { number, path } of doomed) {
      reporter.message("notice", `${run === "dry" ? "would remove" : "removing"} profile version ${number}`);
      if (run === "dry") continue;
      const result = tryUnlink(path);
      if (result < 0) reporter.message("warning", `warning: ${new SystemError(`deleting '${path}'`, -result).message}`);
    }
  } finally {
    locks.release("delete");
  }
}

/** @param generations oldest first; so is the result */
export function chooseGenerations(
  generations: readonly Generation[],
  current: number | undefined,
  { which, nowSec }: Pick<DeleteGenerationsOptions, "which" | "nowSec">,
): Generation[] {
  const others = generations.filter(({ number }) => number !== current);
  switch (which.kind) {
    case "old":
      return others;
    case "numbers":
      return others.filter(({ number }) => which.numbers.includes(number));
    case "older-than": {
      // The newest that is older was the one in use at that time: it stays, too.
      const limit = nowSec - which.days * 24 * 3600;
      const inUse = generations.findLastIndex(({ createdSec }) => createdSec < limit);
      return generations.slice(0, Math.max(0, inUse)).filter(({ number }) => number !== current);
    }
    case "keep-last": {
      const before = others.filter(({ number }) => current === undefined || number < current);
      return before.slice(0, Math.max(0, before.length - (which.count - (current === undefined ? 0 : 1))));
    }
  }
}

function generationNumber(profile: string, name: string): number | undefined {
  if (!name.startsWith(`${profile}-`)) return undefined;
  const number = /^([0-9]{1,15})-link$/.exec(name.slice(profile.length + 1))?.[1];
  return number === undefined ? undefined : Number(number);
}

function split(path: string): { readonly directory: string; readonly name: string } {
  const slash = path.lastIndexOf("/");
  return { directory: path.slice(0, Math.max(0, slash)), name: path.slice(slash + 1) };
}

/**
 * Every profile below a directory: links to something with `link` in its name, as Nix tells them; in directories that
 * may be written.
 * @param onProfile told each path @throws SystemError
 */
export function findProfiles(
  directory: string,
  mayWrite: (path: string) => boolean,
  onProfile: (path: string) => void,
): void {
  for (const { name, kind } of listed(directory)) {
    const path = `${directory}/${name}`;
    if (kind === "directory") findProfiles(path, mayWrite, onProfile);
    else if (kind === "symlink" && mayWrite(directory) && isProfile(path)) onProfile(path);
  }
}

function listed(directory: string): ReturnType<typeof readDirectory> {
  try {
    return readDirectory(directory);
  } catch (error) {
    if (isSystemError(error, "EACCES", "ENOENT", "ENOTDIR")) return []; // another user's
    throw error;
  }
}

function isProfile(path: string): boolean {
  try {
    return readlink(path).includes("link");
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return false; // it went with an earlier profile's generations
    throw error;
  }
}
