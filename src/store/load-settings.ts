/**
 * Settings from the places where Nix looks, later ones winning:
 *
 * 1. `nix.conf` in the configuration directory
 * 2. the files in NIX_USER_CONF_FILES, or else `nix/nix.conf` in the directories of XDG_CONFIG_DIRS and in XDG_CONFIG_HOME; the
 *    last in the list is read first
 * 3. the text in NIX_CONFIG
 *
 * A program that Nix 1.7 starts as a helper finds all settings in _NIX_OPTIONS, which takes the place of the files. The
 * command line, which wins over all, is `applySettingFlags`. See the Nix manual, "nix.conf".
 *
 * Files that are not there cost one look each, and facts of the machine nothing until a setting needs them. What runs
 * when there is no file keeps to loops: the engine compiles `filter`, `map` and the like at their first use, for 0.1 ms each.
 */
import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import { type ByteString, decodeBytes, encodeBytes, fromText, toText } from "../formats/byte-string.ts";
import { BadConf, type ConfFile, expandNixConf, type IncludeDirective } from "../formats/nix-conf.ts";
import { canonicalPath } from "../formats/settings/canonical-path.ts";
import { unpackSettings } from "../formats/settings/pack.ts";
import { type Assignment, defaultSettings, type Settings, withSettings } from "../formats/settings/settings.ts";
import type { SettingSource } from "../formats/settings/source.ts";
import type { Directories, Environment } from "./directories.ts";
import { machineFacts, os } from "./machine-facts.ts";

/** Bytes of one configuration file. A device that never ends is not one. */
export const maxConfSize = 4 * 1024 * 1024;

export interface LoadedSettings {
  readonly settings: Settings;
  /** One line each: files that are there but cannot be read. Unknown names are `unknownSettingWarnings`. */
  readonly warnings: readonly string[];
}

/** @throws BadConf, BadSetting, BadSettingsPack */
export function loadSettings(env: Environment, directories: Directories): LoadedSettings {
  const warnings: string[] = [];
  const assignments: Assignment[] = [];
  const pack = env["_NIX_OPTIONS"];
  if (pack) {
    for (const assignment of unpackSettings(fromText(pack))) assignments.push(assignment);
  } else {
    addFile(assignments, fileName(`${directories.confDir}/nix.conf` as ByteString), "system", warnings);
    for (const file of userConfFiles(env, warnings).reverse()) addFile(assignments, file, "user", warnings);
  }
  const inline = env["NIX_CONFIG"];
  if (inline) addInline(assignments, fromText(inline), warnings);

  const defaults = defaultSettings(machineFacts(env, directories.confDir));
  return { settings: assignments.length === 0 ? defaults : withSettings(defaults, assignments), warnings };
}

/** The files that a user's settings may be in, as text, the one that wins first. */
export function userConfFiles(env: Environment, warnings: string[]): string[] {
  const files: string[] = [];
  const named = env["NIX_USER_CONF_FILES"];
  if (named !== undefined) {
    for (const file of named.split(":")) if (file !== "") files.push(absolutePath(file));
  } else {
    files.push(absolutePath(`${env["XDG_CONFIG_HOME"] || `${homeDirectory(env, warnings)}/.config`}/nix/nix.conf`));
    for (const dir of (env["XDG_CONFIG_DIRS"] || "/etc/xdg").split(":"))
      if (dir !== "") files.push(absolutePath(`${dir}/nix/nix.conf`));
  }
  return files;
}

function addFile(to: Assignment[], name: FileName, scope: "system" | "user", warnings: string[]): void {
  if (!existsSync(name)) return; // far cheaper than a failed open
  const file = typeof name === "string" ? fromText(name) : decodeBytes(name);
  const text = readConf(name, file, (reason) => warnings.push(`ignoring ${JSON.stringify(toText(file))}: ${reason}`));
  if (text === undefined) return;
  for (const { name, value, file: where, line } of expand({ file, text }, warnings))
    to.push({ name, value, source: { kind: "file", scope, file: where, line } });
}

function addInline(to: Assignment[], text: ByteString, warnings: string[]): void {
  const variable = "NIX_CONFIG";
  for (const { name, value, file, line } of expand({ file: variable as ByteString, text }, warnings)) {
    const source: SettingSource =
      file === variable ? { kind: "environment", variable, line } : { kind: "file", scope: "user", file, line };
    to.push({ name, value, source });
  }
}

function expand(top: ConfFile, warnings: string[]) {
  return expandNixConf(top, (include) => readInclude(include, warnings));
}

/** Nix includes secrets this way that only some users may read: not being one of them is no error. */
function readInclude({ path, ifMissing, from, line }: IncludeDirective, warnings: string[]): ConfFile | undefined {
  if (!path.startsWith("/") && !from.startsWith("/"))
    throw new BadConf(from, line, `cannot include ${JSON.stringify(path)}: expected an absolute path`);
  const joined = path.startsWith("/") ? path : (`${from.slice(0, from.lastIndexOf("/"))}/${path}` as ByteString);
  const file = canonicalPath(joined)!;
  let unreadable = false;
  const text = readConf(fileName(file), file, (reason) => {
    unreadable = true;
    if (ifMissing === "fail") warnings.push(`ignoring ${JSON.stringify(toText(file))}: ${reason}`);
  });
  if (text === undefined) return unreadable ? { file, text: "" as ByteString } : undefined;
  return { file, text };
}

/** What node:fs takes: text, or bytes, which take it longer. */
type FileName = string | Buffer;

function fileName(path: ByteString): FileName {
  for (let i = 0; i < path.length; i++) if (path.charCodeAt(i) > 0x7f) return encodeBytes(path);
  return path;
}

/**
 * The bytes of a file; undefined when there is none, or after telling why it cannot be read.
 * @throws BadConf when it is longer than {@link maxConfSize}
 */
function readConf(name: FileName, file: ByteString, onUnreadable: (reason: string) => void): ByteString | undefined {
  let text: ByteString | "too long";
  try {
    const descriptor = openSync(name, "r");
    try {
      text = readToEnd(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    if (error.code !== "ENOENT" && error.code !== "ENOTDIR") onUnreadable(`it cannot be read (${error.code})`);
    return undefined;
  }
  if (text === "too long") throw new BadConf(file, 1, `the file is longer than ${maxConfSize} bytes`);
  return text;
}

/** Also from pipes and devices, whose size nobody tells. */
function readToEnd(descriptor: number): ByteString | "too long" {
  let buffer = Buffer.alloc(8192);
  let size = 0;
  for (;;) {
    const count = readSync(descriptor, buffer, size, buffer.length - size, null);
    if (count === 0) return decodeBytes(buffer.subarray(0, size));
    size += count;
    if (size > maxConfSize) return "too long";
    if (size === buffer.length) buffer = Buffer.concat([buffer], size * 2);
  }
}

/** HOME, unless it is another user's: under sudo, that user's nix.conf must not choose what root runs. */
function homeDirectory(env: Environment, warnings: string[]): string {
  const home = env["HOME"];
  if (!home) return os().homedir();
  const owner = ownerOf(home);
  if (owner === "nobody" || owner === process.geteuid?.()) return home;
  warnings.push(`HOME ${JSON.stringify(home)} is not owned by you, using the one in the user database`);
  return os().userInfo().homedir;
}

function ownerOf(path: string): number | "nobody" | "unknown" {
  try {
    return statSync(path, { throwIfNoEntry: false })?.uid ?? "nobody";
  } catch {
    return "unknown"; // not allowed to look: then it is not ours either
  }
}

function absolutePath(path: string): string {
  return path.startsWith("/") ? path : `${process.cwd()}/${path}`;
}
