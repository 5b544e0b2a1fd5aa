/**
 * The store as a program for tests that need another process: `store-driver.ts COMMAND ARGUMENT...` on the store that the
 * environment names. Results go to standard output, a line each. Commands that hold something print `held` and give it up
 * when standard input ends.
 */
import { parseFullStorePath } from "../../src/formats/store-path.ts";
import { type HashAlgo, parseHashAlgo } from "../../src/formats/hash.ts";
import { fromText } from "../../src/formats/byte-string.ts";
import { createRegistrationParser } from "../../src/formats/validity-registration.ts";
import { SiloError } from "../../src/error.ts";
import { addPath, recursiveSha256 } from "../../src/store/add.ts";
import { directoriesFromEnvironment } from "../../src/store/directories.ts";
import { exportPaths } from "../../src/store/export.ts";
import { importPaths } from "../../src/store/import.ts";
import { loadSettings } from "../../src/store/load-settings.ts";
import { type LocalStore, realPath, showPath } from "../../src/store/local-store.ts";
import { openLocalStore } from "../../src/store/open-local-store.ts";
import { optimiseStore } from "../../src/store/optimise.ts";
import { lockPaths } from "../../src/store/path-locks.ts";
import { queryAllValidPaths } from "../../src/store/queries.ts";
import { registerValidPaths } from "../../src/store/register.ts";
import { dumpTreeTo } from "../../src/store/tree/nar-hash.ts";
import { restoreTree } from "../../src/store/tree/restore.ts";
import { restoreNar } from "../../src/store/tree/restore-nar.ts";
import { verifyStore } from "../../src/store/verify.ts";
import { read, writeAll } from "../../src/sys/descriptor.ts";
import { fdReader } from "../../src/sys/fd-reader.ts";

type Command = (store: LocalStore, args: readonly string[]) => void;

const commands: Readonly<Record<string, Command>> = {
  open() {},
  add(store, paths) {
    for (const path of paths) print(showPath(store, add(store, path, { ...recursiveSha256 })));
  },
  "add-flat"(store, [algo, path]) {
    const hashAlgo: HashAlgo = parseHashAlgo(algo!);
    print(showPath(store, add(store, path!, { kind: "fixed", method: "flat", hashAlgo })));
    print(`peak ${process.resourceUsage().maxRSS}`);
  },
  import(store) {
    for (const path of importPaths(store, fdReader(0, "standard input"))) print(showPath(store, path));
  },
  export(store, paths) {
    const parsed = paths.map((path) => parseFullStorePath(store.storeDir, path));
    exportPaths(store, parsed, (chunk) => writeAll(1, chunk));
  },
  "query-all"(store) {
    for (const path of queryAllValidPaths(store)) print(showPath(store, path));
  },
  dump(_store, [path]) {
    dumpTreeTo(1, path!);
  },
  restore(_store, [path]) {
    restoreNar(fdReader(0, "standard input"), restoreTree(path!, "plain"));
  },
  optimise(store) {
    const { filesLinked, bytesFreed } = optimiseStore(store, () => {});
    print(`${filesLinked} ${bytesFreed}`);
  },
  verify(store, [contents]) {
    const verdict = verifyStore(store, {
      contents: contents === "contents" ? "hash-contents" : "existence-only",
      repair: undefined,
    });
    print(verdict);
    if (verdict === "errors") process.exitCode = 1;
  },
  /** Standard input is a registration with hashes. */
  register(store) {
    const parser = createRegistrationParser(store.storeDir, "with-hash");
    const registrations = [...parser.feed(readAll(0))];
    parser.finish();
    registerValidPaths(
      store,
      registrations.map(({ path, nar, deriver, references }) => ({
        path,
        narHash: nar!.hash,
        narSize: nar!.size,
        references: [...references].sort(),
        deriver,
        registrationTimeSec: 1,
        ultimate: false,
        signatures: [],
        contentAddress: undefined,
      })),
    );
  },
  "hold-path-lock"(store, paths) {
    const locks = lockPaths(
      paths.map((path) => realPath(store, parseFullStorePath(store.storeDir, path))),
      () => {},
    );
    hold();
    locks.release("delete");
  },
  "hold-temp-root"(store, paths) {
    store.tempRoots.add(paths);
    hold();
  },
  "hold-transaction"(store) {
    store.db.transaction(hold);
  },
  "hold-store"() {
    hold();
  },
};

function add(store: LocalStore, path: string, method: Parameters<typeof addPath>[2]["method"]) {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return addPath(store, fromText(path), { name, method });
}

function print(line: string): void {
  writeAll(1, Buffer.from(`${line}\n`));
}

function hold(): void {
  print("held");
  readAll(0);
}

function readAll(fd: number): Buffer {
  const parts: Buffer[] = [];
  const buffer = Buffer.alloc(65536);
  for (let count = read(fd, buffer); count > 0; count = read(fd, buffer))
    parts.push(Buffer.from(buffer.subarray(0, count)));
  return Buffer.concat(parts);
}

function main(): void {
  const [name = "", ...args] = process.argv.slice(2);
  const directories = directoriesFromEnvironment(process.env);
  const store = openLocalStore({
    ...directories,
    realStoreDir: directories.storeDir,
    settings: loadSettings(process.env, directories).settings,
    reporter: {
      message: (level, text) => {
        if (level === "error" || level === "warning") process.stderr.write(`${text}\n`);
      },
      start: () => ({ result() {}, stop() {} }),
    },
    access: "read-write",
  });
  try {
    commands[name]!(store, args);
  } finally {
    store.close();
  }
}

try {
  main();
} catch (error) {
  if (!(error instanceof SiloError)) throw error;
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = 1;
}
