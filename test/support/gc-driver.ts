/**
 * The collector as a program for tests: `gc-driver.ts COMMAND ARGUMENT...` on the store that the environment names.
 * `collect [MAX-FREED]`, `dead`, `live`, `delete PATH...`. Prints `COUNT BYTES`, and paths for `dead` and `live`.
 */
import { collectGarbage } from "../../src/gc/collect-garbage.ts";
import { SiloError } from "../../src/error.ts";
import { parseFullStorePath } from "../../src/formats/store-path.ts";
import type { CollectOptions } from "../../src/store/collect-service.ts";
import { directoriesFromEnvironment } from "../../src/store/directories.ts";
import { loadSettings } from "../../src/store/load-settings.ts";
import { openLocalStore } from "../../src/store/open-local-store.ts";
import { writeAll } from "../../src/sys/descriptor.ts";

export const gcDriver: string = import.meta.filename;

function main(): void {
  const [command, ...args] = process.argv.slice(2);
  const directories = directoriesFromEnvironment(process.env);
  const store = openLocalStore({
    ...directories,
    realStoreDir: directories.storeDir,
    settings: loadSettings(process.env, directories).settings,
    reporter: {
      message: (level, text) => {
        if (level === "error" || level === "warning") writeAll(2, Buffer.from(`${text}\n`, "latin1"));
      },
      start: () => ({ result() {}, stop() {} }),
    },
    access: "read-write",
  });
  const options: CollectOptions = {
    action: "delete-dead",
    paths: [],
    liveness: "respect",
    referrers: "keep",
    maxFreed: undefined,
  };
  try {
    if (command === "collect") {
      const maxFreed = args[0] === undefined ? undefined : Number(args[0]);
      const { paths, bytesFreed } = collectGarbage(store, { ...options, maxFreed });
      print(`${paths.length} ${bytesFreed}`);
    } else if (command === "delete") {
      const paths = args.map((path) => parseFullStorePath(store.storeDir, path));
      const { paths: deleted, bytesFreed } = collectGarbage(store, { ...options, action: "delete-specific", paths });
      print(`${deleted.length} ${bytesFreed}`);
    } else {
      const action = command === "live" ? "return-live" : "return-dead";
      for (const path of collectGarbage(store, { ...options, action }).paths) print(path);
    }
  } finally {
    store.close();
  }
}

function print(line: string): void {
  writeAll(1, Buffer.from(`${line}\n`, "latin1"));
}

if (process.argv[1] === gcDriver) {
  try {
    main();
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    process.exitCode = 1;
  }
}
