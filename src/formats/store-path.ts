/**
 * Store paths: `<32 nix32 characters>-<name>` below a store directory. The store directory is a separate value, so that
 * one process can speak of several stores. See the Nix manual, "Store path"; name rules as in today's Nix.
 */
import { SiloError } from "../error.ts";

declare const storePath: unique symbol;
/** A base name, without the store directory. Made only by {@link parseStorePath}; ASCII, so also a byte string. */
export type StorePath = string & { readonly [storePath]: true };

declare const storeDir: unique symbol;
/** An absolute, canonical directory without a trailing slash, such as `/nix/store`. */
export type StoreDir = string & { readonly [storeDir]: true };

export class BadStorePath extends SiloError {
  readonly code = "bad-store-path";
  constructor(
    readonly input: string,
    readonly reason: string,
  ) {
    super(`Cannot parse store path ${JSON.stringify(input)}: ${reason}`);
  }
}

/** Bytes of a name at most: with the hash, the dash and `.lock` it stays a file name. */
export const maxNameLength = 211;
export const hashPartLength = 32;

/** @throws BadStorePath */
export function checkName(name: string): void {
  const reason = nameFault(name);
  if (reason !== undefined) throw new BadStorePath(name, reason);
}

/** Why `name` cannot be the name of a store path, or undefined when it can. */
export function nameFault(name: string): string | undefined {
  if (name === "") return "name is empty";
  if (name.length > maxNameLength) return `name is ${name.length} bytes long, at most ${maxNameLength} are allowed`;
  if (/^\.\.?(-|$)/.test(name)) return `name is "." or "..", or begins with ".-" or "..-"`;
  const bad = /[^0-9A-Za-z+\-._?=]/.exec(name);
  if (bad !== null) return `name contains the illegal character ${JSON.stringify(bad[0])}`;
  return undefined;
}

/** @throws BadStorePath */
export function parseStorePath(baseName: string): StorePath {
  if (!/^[0-9a-df-np-sv-z]{32}-/.test(baseName)) {
    throw new BadStorePath(baseName, "does not begin with 32 nix32 characters and a dash");
  }
  const reason = nameFault(baseName.slice(hashPartLength + 1));
  if (reason !== undefined) throw new BadStorePath(baseName, reason);
  return baseName as StorePath; // the only cast, in the only file that may make one
}

/** As {@link parseStorePath}, with undefined for a base name that is none. */
export function tryParseStorePath(baseName: string): StorePath | undefined {
  const valid = /^[0-9a-df-np-sv-z]{32}-/.test(baseName) && nameFault(baseName.slice(hashPartLength + 1)) === undefined;
  return valid ? (baseName as StorePath) : undefined;
}

/** The 32 characters before the dash. */
export function hashPart(path: StorePath): string {
  return path.slice(0, hashPartLength);
}

/** What follows the dash. */
export function nameOf(path: StorePath): string {
  return path.slice(hashPartLength + 1);
}

/** @throws BadStorePath when the directory is relative or not in canonical form */
export function parseStoreDir(path: string): StoreDir {
  if (!/^(\/[^/]+)+$/.test(path) || /\/\.\.?(\/|$)/.test(path)) {
    throw new BadStorePath(path, "a store directory is an absolute path without '.', '..' or doubled slashes");
  }
  return path as StoreDir;
}

/** Where the store is unless somebody says otherwise. */
export const defaultStoreDir = "/nix/store" as StoreDir;

/** `<store directory>/<base name>` */
export function printStorePath(dir: StoreDir, path: StorePath): string {
  return `${dir}/${path}`;
}

/** Is `path` something below the store directory? */
export function isInStore(dir: StoreDir, path: string): boolean {
  return path.startsWith(`${dir}/`) && path.length > dir.length + 1;
}

/** A full path directly in the store. @throws BadStorePath */
export function parseFullStorePath(dir: StoreDir, path: string): StorePath {
  if (!isInStore(dir, path)) throw new BadStorePath(path, `is not in the Nix store '${dir}'`);
  return parseStorePath(path.slice(dir.length + 1));
}

/** The store path that a path in the store lies in: cut at the next slash. @throws BadStorePath */
export function toStorePath(dir: StoreDir, path: string): StorePath {
  if (!isInStore(dir, path)) throw new BadStorePath(path, `is not in the Nix store '${dir}'`);
  const slash = path.indexOf("/", dir.length + 1);
  return parseStorePath(path.slice(dir.length + 1, slash < 0 ? undefined : slash));
}

export function isDerivationPath(path: StorePath): boolean {
  return path.endsWith(".drv");
}
