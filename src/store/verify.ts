/**
 * Verifying the store: does what the database calls valid exist, and is it what was registered? Contents are read
 * without a lock, which takes long; paths that a collector takes meanwhile are passed over.
 */
import { SiloError } from "../error.ts";
import { printHash } from "../formats/hash.ts";
import { isInStore, printStorePath, type StorePath, tryParseStorePath } from "../formats/store-path.ts";
import { O_NOFOLLOW, O_RDONLY, open, withDescriptor } from "../sys/descriptor.ts";
import { readDirectory } from "../sys/directory.ts";
import { exists, readlink, tryUnlink } from "../sys/names.ts";
import { type FileKind, fstat } from "../sys/stat.ts";
import { withGcLock } from "./gc-lock.ts";
import { hashPaths, type PathToHash } from "./hash-paths.ts";
import { fileLinkName, symlinkLinkName } from "./link-hash.ts";
import { type LocalStore, showPath } from "./local-store.ts";
import { requireWritable } from "./open-local-store.ts";
import type { PathInfo } from "./path-info.ts";
import { isValidPath, queryPathInfo } from "./queries.ts";
import { registerValidPaths } from "./register.ts";
import type { NarDigest } from "./tree/nar-hash.ts";
import { compileQuickly } from "./tree/quick-compilation.ts";
import { UnsupportedFile } from "./tree/walk.ts";

export interface VerifyOptions {
  readonly contents: "existence-only" | "hash-contents";
  /** Makes a missing or damaged path good again; throws when it cannot. Undefined to report only. */
  readonly repair: ((path: StorePath) => void) | undefined;
  /** Told before the contents of each path are read. */
  readonly onPath?: (path: StorePath, index: number, count: number) => void;
}

/** `errors` when something is wrong that was not put right. */
export type Verdict = "good" | "errors";

export function verifyStore(store: LocalStore, options: VerifyOptions): Verdict {
  requireWritable(store);
  const { reporter } = store;
  reporter.message("info", "reading the Nix store...");
  const waiting = () => reporter.message("error", "waiting for the big garbage collector lock...");
  const existence = withGcLock(store.stateDir, "shared", waiting, () => verifyExistence(store, options));
  if (options.contents === "existence-only") return existence.verdict;
  const links = verifyLinks(store, options);
  const contents = verifyContents(store, existence.present, options);
  return [existence.verdict, links, contents].includes("errors") ? "errors" : "good";
}

/** Full paths, as the database has them: a damaged row must not keep the others from being looked at. */
function verifyExistence(store: LocalStore, options: VerifyOptions): { verdict: Verdict; present: StorePath[] } {
  const { reporter, storeDir } = store;
  const onDisk = new Set(readDirectory(store.realStoreDir).map(({ name }) => name));
  reporter.message("info", "checking path existence...");
  const missing = new Set<string>();
  const present: StorePath[] = [];
  let verdict: Verdict = "good";
  for (const [column] of store.db.statement("select path from ValidPaths order by path").rows()) {
    const fullPath = String(column);
    const path = isInStore(storeDir, fullPath) ? tryParseStorePath(fullPath.slice(storeDir.length + 1)) : undefined;
    if (path !== undefined && onDisk.has(path)) present.push(path);
    else missing.add(fullPath);
    if (path === undefined) reporter.message("error", `path '${fullPath}' is not in the Nix store`);
  }
  for (const fullPath of removeMissing(store, missing)) {
    reporter.message("error", `path '${fullPath}' disappeared, but it still has valid referrers!`);
    const path = tryParseStorePath(fullPath.slice(storeDir.length + 1));
    if (path === undefined || options.repair === undefined || !attemptRepair(store, options.repair, path))
      verdict = "errors";
  }
  return { verdict, present };
}

/** Takes missing paths out of the database, referrers first; those that must stay for a present one are returned. */
function removeMissing(store: LocalStore, missing: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  const states = new Map<string, "open" | "removed" | "kept">();
  const stack = [...missing].map((path) => ({ path, referrers: undefined as string[] | undefined }));
  while (stack.length > 0) {
    const top = stack[stack.length - 1]!;
    if (top.referrers === undefined && states.has(top.path)) {
      stack.pop(); // done on behalf of another
      continue;
    }
    states.set(top.path, "open");
    top.referrers ??= referrersOf(store, top.path);
    const pending = top.referrers.find((referrer) => missing.has(referrer) && !states.has(referrer));
    if (pending !== undefined) {
      stack.push({ path: pending, referrers: undefined });
      continue;
    }
    stack.pop();
    if (top.referrers.some((referrer) => states.get(referrer) !== "removed")) {
      states.set(top.path, "kept");
      kept.push(top.path);
    } else {
      states.set(top.path, "removed");
      store.reporter.message("error", `path '${top.path}' disappeared, removing from database...`);
      store.db.statement("delete from ValidPaths where path = ?").run(top.path);
    }
  }
  return kept;
}

function referrersOf({ db }: LocalStore, path: string): string[] {
  const sql =
    "select v.path from Refs r join ValidPaths v on r.referrer = v.id " +
    "where r.reference = (select id from ValidPaths where path = ?)";
  return db
    .statement(sql)
    .rows(path)
    .map(([referrer]) => String(referrer))
    .filter((referrer) => referrer !== path);
}

function verifyLinks(store: LocalStore, options: VerifyOptions): Verdict {
  store.reporter.message("info", "checking link hashes...");
  const links = `${store.realStoreDir}/.links`;
  let verdict: Verdict = "good";
  compileQuickly(linkNameOf, fileLinkName);
  for (const { name, kind } of readDirectory(links)) {
    if (kind === "directory") continue;
    const file = `${links}/${name}`;
    try {
      const actual = linkNameOf(file, kind);
      if (actual === name) continue;
      store.reporter.message("error", `link '${file}' was modified! expected hash '${name}', got '${actual}'`);
    } catch (error) {
      if (!(error instanceof SiloError)) throw error;
      if (!exists(file)) continue; // collected meanwhile
      store.reporter.message("error", `error: ${error.message}`);
    }
    if (options.repair !== undefined && tryUnlink(file) === 0) store.reporter.message("info", `removed link '${file}'`);
    else verdict = "errors";
  }
  return verdict;
}

/** What the file should be called. */
function linkNameOf(file: string, kind: FileKind): string {
  if (kind === "symlink") return symlinkLinkName(readlink(file));
  // Not to be opened, as that could block.
  if (kind === "other") throw new UnsupportedFile(file, "it is a socket, device or fifo");
  return withDescriptor(open(file, O_RDONLY | O_NOFOLLOW), (fd) => {
    const { size, mode } = fstat(fd);
    return fileLinkName(fd, mode & 0o100 ? "executable" : "regular", size);
  });
}

function verifyContents(store: LocalStore, paths: readonly StorePath[], options: VerifyOptions): Verdict {
  store.reporter.message("info", "checking store hashes...");
  let verdict: Verdict = "good";
  let begun = 0;
  const onBegin = (path: StorePath) => {
    options.onPath?.(path, begun++, paths.length);
    store.reporter.message("talkative", `checking contents of '${showPath(store, path)}'`);
  };
  hashPaths(store.realStoreDir, withSizes(store, paths), onBegin, (path, outcome) => {
    try {
      if (outcome instanceof SiloError) throw outcome;
      const info = queryPathInfo(store, path);
      if (info === undefined || judge(store, info, outcome) === "good") return;
      if (options.repair === undefined || !attemptRepair(store, options.repair, path)) verdict = "errors";
    } catch (error) {
      if (!(error instanceof SiloError)) throw error;
      // A path that was collected since is no error of the store.
      const level = isValidPath(store, path) ? "error" : "warning";
      store.reporter.message(level, `${level}: ${error.message}`);
      if (level === "error") verdict = "errors";
    }
  });
  return verdict;
}

/** Sizes are hints: what is wrong in a row is told when it is compared. */
function withSizes({ db, storeDir }: LocalStore, paths: readonly StorePath[]): PathToHash[] {
  const rows = db.statement("select path, narSize from ValidPaths").rows();
  const sizes = new Map(rows.map(([path, size]) => [String(path), typeof size === "number" ? size : undefined]));
  return paths.map((path) => ({ path, narSize: sizes.get(printStorePath(storeDir, path)) }));
}

/** Compares a path's contents with its registration, and fills in what an old store did not know. */
function judge(store: LocalStore, info: PathInfo, { hash, size }: NarDigest): Verdict {
  const shown = showPath(store, info.path);
  const expected = printHash(info.narHash, "base32");
  const actual = printHash(hash, "base32");
  const unknown = info.narHash.bytes.every((byte) => byte === 0);
  if (!unknown && expected !== actual) {
    store.reporter.message("error", `path '${shown}' was modified! expected hash '${expected}', got '${actual}'`);
    return "errors";
  }
  if (unknown || info.narSize === undefined) {
    store.reporter.message(
      "error",
      unknown ? `fixing missing hash on '${shown}'` : `updating size field on '${shown}' to ${size}`,
    );
    registerValidPaths(store, [{ ...info, narHash: hash, narSize: size }], "trusted");
  }
  return "good";
}

function attemptRepair(store: LocalStore, repair: (path: StorePath) => void, path: StorePath): boolean {
  try {
    repair(path);
    return true;
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    store.reporter.message("warning", `warning: ${error.message}`);
    return false;
  }
}
