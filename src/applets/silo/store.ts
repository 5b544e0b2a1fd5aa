/** `silo store`: the store itself. */
import { UsageError } from "../../error.ts";
import { fromText } from "../../formats/byte-string.ts";
import { compatibleNixVersion, siloVersion } from "../../version.ts";
import { statFileSystem } from "../../sys/mount.ts";
import { commandApplet } from "../command-line.ts";
import { withStore } from "../open-store.ts";
import { openSession } from "../session.ts";
import { commandGroup } from "./command-group.ts";
import { operationCommand } from "./operation-command.ts";
import { showBytes } from "./show-bytes.ts";

const info = commandApplet(
  {
    name: "silo store info",
    family: "silo",
    summary: "Tell which store is used, and what is in it",
    usage: ["[--json]"],
    examples: [
      { does: "The store that commands work on", command: "silo store info" },
      { does: "Another one", command: "silo store info --store /mnt" },
    ],
    options: { json: { help: "Print an object" } },
  },
  (line, io) =>
    withStore(openSession(line, io), (store) => {
      if (line.operands.length > 0)
        throw new UsageError("'silo store info' takes no operands; '--store' names another store");
      const infos = [...store.queryPathInfos(store.queryAllValidPaths()).values()];
      const { local } = store;
      const space = local === undefined ? undefined : statFileSystem(local.realStoreDir);
      const facts = {
        storeDir: store.storeDir,
        ...(local === undefined ? {} : { files: local.realStoreDir, state: local.stateDir, access: local.access }),
        validPaths: infos.length,
        narSize: infos.reduce((size, each) => size + (each.narSize ?? 0), 0),
        ...(space === undefined ? {} : { diskAvailable: space.available, diskTotal: space.total }),
        version: siloVersion,
        compatibleNixVersion,
      };
      if (line.has("json")) io.out(fromText(`${JSON.stringify(facts, null, 2)}\n`));
      else {
        const isSize = new Set(["narSize", "diskAvailable", "diskTotal"]);
        for (const [name, value] of Object.entries(facts)) {
          io.out(`${name}: ${typeof value === "number" && isSize.has(name) ? showBytes(value) : value}\n`);
        }
      }
      return 0;
    }),
);

const repair = operationCommand(
  {
    name: "silo store repair",
    summary: "Check all contents, and fetch or build again what is damaged",
    usage: [""],
    examples: [{ does: "After a disk has lied", command: "silo store repair" }],
    options: {},
  },
  async () => {
    const { verify } = await import("../nix-store/verify.ts");
    const given = new Set(["check-contents", "repair"]);
    return (context) => verify({ ...context, line: { ...context.line, has: (option) => given.has(option) } });
  },
);

export const store = commandGroup({
  name: "silo store",
  summary: "Tell about the store, and repair it",
  commands: {
    info: { summary: info.summary, load: async () => info },
    repair: { summary: repair.summary, load: async () => repair },
  },
});
