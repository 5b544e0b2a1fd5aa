/**
 * `builtin:buildenv`: a user environment, which shows the files of several packages as one tree of symbolic links. A
 * directory that only one package has is one link; where two have it, it becomes a directory of links.
 */
import { compareBytes, toText } from "../../formats/byte-string.ts";
import { readSmallFile } from "../../sys/descriptor.ts";
import { readDirectory } from "../../sys/directory.ts";
import { mkdir, mkdirs, readlink, symlink, unlink } from "../../sys/names.ts";
import { tryLstat, tryStat } from "../../sys/stat.ts";
import { isSystemError } from "../../sys/system-error.ts";
import { type Attributes, BuiltinFailure, requireAttribute } from "./attributes.ts";
import { sayWarning } from "./progress.ts";

interface Package {
  readonly path: string;
  /** The lower number wins. */
  readonly priority: number;
  readonly use: "active" | "inactive";
}

/** Priority of the first package that is there because another one asks for it; the next has the next. */
const firstPropagatedPriority = 1000;
const maxPropagatedSize = 1024 * 1024;

/** @throws BuiltinFailure on collisions, SystemError */
export function buildEnvironment(attributes: Attributes): void {
  const out = requireAttribute(attributes, "out");
  mkdirs(out);
  const packages = readPackages(requireAttribute(attributes, "derivations"));
  linkPackages(out, packages);
  symlink(requireAttribute(attributes, "manifest"), `${out}/manifest.nix`);
}

/** For every package: `true` or `false`, its priority, the number of its outputs, and their paths. */
function readPackages(derivations: string): Package[] {
  const words = derivations.split(/[ \n\t\r]+/).filter((word) => word !== "");
  const packages: Package[] = [];
  let at = 0;
  const next = () => {
    const word = words[at++];
    if (word === undefined) throw new BuiltinFailure("attribute 'derivations' ends in the middle of a package");
    return word;
  };
  const number = () => {
    const word = next();
    if (!/^-?[0-9]{1,10}$/.test(word)) throw new BuiltinFailure(`attribute 'derivations': '${word}' is not a number`);
    return Number(word);
  };
  while (at < words.length) {
    const use = next() === "false" ? "inactive" : "active";
    const priority = number();
    for (let outputs = number(); outputs > 0; outputs--) packages.push({ path: next(), priority, use });
  }
  return packages;
}

function linkPackages(out: string, packages: readonly Package[]): void {
  const links: Links = { priorities: new Map() };
  const done = new Set<string>();
  let wanted = new Set<string>();

  function add(path: string, priority: number): void {
    if (done.has(path)) return;
    done.add(path);
    linkDirectory(links, path, out, priority);
    for (const other of propagatedPackages(path)) if (!done.has(other)) wanted.add(other);
  }

  // In the order of their priority, so that few links are made in vain.
  const ordered = [...packages].sort((a, b) => a.priority - b.priority || compareBytes(a.path, b.path));
  for (const { path, priority, use } of ordered) if (use === "active") add(path, priority);
  // What the user's packages ask for gives way to the user's own.
  for (let priority = firstPropagatedPriority; wanted.size > 0; ) {
    const round = [...wanted].sort(compareBytes);
    wanted = new Set();
    for (const path of round) add(path, priority++);
  }
}

function propagatedPackages(path: string): string[] {
  try {
    const text = readSmallFile(`${path}/nix-support/propagated-user-env-packages`, maxPropagatedSize).toString(
      "latin1",
    );
    return text.split(/[ \n]+/).filter((word) => word !== "");
  } catch (error) {
    if (isSystemError(error, "ENOENT", "ENOTDIR")) return []; // few packages have one
    throw error;
  }
}

interface Links {
  /** Of every link, the priority of the package that it is for. */
  readonly priorities: Map<string, number>;
}

/** In packages for the package manager and the tools, or in every package with its own contents. */
const ownFiles = [
  "/propagated-build-inputs",
  "/nix-support",
  "/perllocal.pod",
  "/info/dir",
  "/log",
  "/manifest.nix",
  "/manifest.json",
];

function linkDirectory(links: Links, source: string, destination: string, priority: number): void {
  const entries = listPackage(source);
  for (const { name } of entries) {
    if (name.startsWith(".")) continue;
    const from = `${source}/${name}`;
    const to = `${destination}/${name}`;
    const status = tryStat(from);
    if (status === undefined) {
      sayWarning(`skipping dangling symlink '${toText(to)}'`);
      continue;
    }
    if (ownFiles.some((own) => from.endsWith(own))) continue;
    const make =
      status.kind === "directory" ? placeDirectory(links, from, to, priority) : placeFile(links, from, to, priority);
    if (make === "nothing") continue;
    symlink(from, to);
    links.priorities.set(to, priority);
  }
}

function listPackage(source: string): ReturnType<typeof readDirectory> {
  const status = tryStat(source);
  if (status !== undefined && status.kind !== "directory") {
    sayWarning(`not including '${toText(source)}' in the user environment because it's not a directory`);
    return [];
  }
  // A package may be a link to a directory, which readDirectory does not follow as the last part of a path.
  return readDirectory(`${source}/.`).sort((a, b) => compareBytes(a.name, b.name));
}

type Place = "link" | "nothing";

function placeDirectory(links: Links, from: string, to: string, priority: number): Place {
  const there = tryLstat(to);
  if (there === undefined) return "link";
  if (there.kind === "directory") {
    linkDirectory(links, from, to, priority);
    return "nothing";
  }
  const target = there.kind === "symlink" ? resolve(to) : to;
  if (tryStat(target)?.kind !== "directory") {
    throw new BuiltinFailure(`collision between '${from}' and non-directory '${target}'`);
  }
  // Both have the directory: it becomes one of links to what either has in it.
  const before = links.priorities.get(to) ?? 0;
  unlink(to);
  mkdir(to, 0o755);
  linkDirectory(links, target, to, before);
  linkDirectory(links, from, to, priority);
  return "nothing";
}

function placeFile(links: Links, from: string, to: string, priority: number): Place {
  const there = tryLstat(to);
  if (there === undefined) return "link";
  if (there.kind === "directory") {
    throw new BuiltinFailure(`collision between non-directory '${from}' and directory '${to}'`);
  }
  const before = links.priorities.get(to) ?? 0;
  if (before === priority) {
    throw new BuiltinFailure(
      `packages '${from}' and '${readlink(to)}' have the same priority ${priority}; ` +
        "use 'nix-env --set-flag priority NUMBER INSTALLED_PKGNAME' to change the priority of one of the conflicting " +
        "packages (0 being the highest priority)",
    );
  }
  if (before < priority) return "nothing";
  unlink(to);
  return "link";
}

const maxLinks = 1024;

/** Follows the links that the last part of a path leads through. */
function resolve(path: string): string {
  let current = path;
  for (let followed = 0; tryLstat(current)?.kind === "symlink"; followed++) {
    if (followed === maxLinks) throw new BuiltinFailure(`infinite symlink recursion in path '${path}'`);
    const target = readlink(current);
    current = target.startsWith("/") ? target : `${current.slice(0, current.lastIndexOf("/"))}/${target}`;
  }
  return current;
}
