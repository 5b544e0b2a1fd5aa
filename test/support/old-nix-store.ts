/** A nix-store as that of Nix 1.7 serves: `--serve` in version 1.1, and no flag that it does not know. */
import { runSync } from "../../src/formats/codec.ts";
import { pathInfos, serveContext } from "../../src/formats/serve-protocol/commands.ts";
import { readOldCommand, readOldQuery } from "../../src/formats/serve-protocol/queries.ts";
import { readNumber, readU64, WireWriter } from "../../src/formats/wire.ts";
import { storePaths } from "../../src/formats/worker-protocol/wire-type.ts";
import { directoriesFromEnvironment } from "../../src/store/directories.ts";
import { openLocalStore } from "../../src/store/open-local-store.ts";
import { silentReporter } from "../../src/store/reporter.ts";
import { localStoreView } from "../../src/store/store.ts";
import { writeAll } from "../../src/sys/descriptor.ts";
import { fdReader } from "../../src/sys/fd-reader.ts";
import { settingsOf } from "./settings-facts.ts";

const [operation, ...flags] = process.argv.slice(2);
if (operation !== "--serve" || flags.length > 0) {
  process.stderr.write(`error: unknown flag \`${flags[0] ?? operation}'\n`);
  process.exit(1);
}
const directories = directoriesFromEnvironment(process.env);
const store = localStoreView(
  openLocalStore({
    ...directories,
    realStoreDir: directories.storeDir,
    settings: settingsOf([]),
    reporter: silentReporter,
    access: "read-write",
  }),
);
const reader = fdReader(0, "standard input");
const write = (bytes: Uint8Array) => writeAll(1, bytes);
runSync(readU64(), reader);
write(new WireWriter().u64(0x5452eecb).u64(0x101).take());
runSync(readNumber("version"), reader); // and ignores it
const context = serveContext(store.storeDir, 0);
if (!reader.atEnd()) {
  const command = runSync(readOldCommand(context), reader);
  if (command.kind === "substitute") store.dumpPath(command.path, write);
  else {
    while (!reader.atEnd()) {
      const { kind, paths } = runSync(readOldQuery(context), reader);
      const writer = new WireWriter();
      if (kind === "have") storePaths.write(writer, [...store.queryValidPaths(paths)], context);
      else {
        const infos = [...store.queryPathInfos(paths).values()];
        pathInfos.write(
          writer,
          infos.map((info) => ({ ...info, downloadSize: info.narSize })),
          context,
        );
      }
      write(writer.take());
    }
  }
}
store.close();
