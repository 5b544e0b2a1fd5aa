/** `silo copy`: closures between this store and others that ssh reaches. */
import { UsageError } from "../../error.ts";
import { fromText } from "../../formats/byte-string.ts";
import { printStorePath } from "../../formats/store-path.ts";
import { commandApplet } from "../command-line.ts";
import { openSession } from "../session.ts";

export const copyCommand = commandApplet(
  {
    name: "silo copy",
    family: "silo",
    summary: "Copy paths with all they need to or from another machine",
    usage: ["--to STORE PATHS…", "--from STORE PATHS…"],
    examples: [
      { does: "To a machine that ssh reaches", command: "silo copy --to alice@server $(readlink result)" },
      { does: "From its daemon", command: "silo copy --from ssh-ng://alice@server /nix/store/…-hello" },
      { does: "See what would travel", command: "silo copy --dry-run --to server ./result" },
    ],
    options: {
      to: { operands: ["STORE"], help: "[USER@]HOST[:PORT], ssh://… or ssh-ng://…" },
      from: { operands: ["STORE"], help: "The same, to copy from there to here" },
      "include-outputs": { help: "Of derivations, copy their outputs, too" },
      "use-substitutes": { letter: "s", help: "Have the receiver fetch what it can from its substituters" },
      compress: { help: "Compress what travels" },
      "dry-run": { help: "Say what would be copied" },
      json: { help: "Print what was copied, as an object" },
    },
  },
  async (line, io) => {
    const [to, from] = [line.last("to"), line.last("from")];
    if ((to === undefined) === (from === undefined))
      throw new UsageError("'silo copy' needs either '--to' or '--from'");
    if (line.operands.length === 0) throw new UsageError("'silo copy' needs at least one path");
    const session = openSession(line, io);
    const { copy, copyAddress } = await import("../copy-closures.ts");
    const address = copyAddress((to ?? from)!, line.has("compress") ? "compress" : "plain");
    const { storeDir } = session.directories;
    const { paths, narSize } = await copy(session, address, to === undefined ? "from" : "to", line.operands, {
      outputs: line.has("include-outputs") ? "include" : "leave-out",
      substitute: line.has("use-substitutes") ? "use" : "no",
      run: line.has("dry-run") ? "dry" : "copy",
    });
    if (line.has("json")) {
      const copied = paths.map((path) => printStorePath(storeDir, path));
      io.out(fromText(`${JSON.stringify({ store: address.name, paths: copied, narSize }, null, 2)}\n`));
    }
    return 0;
  },
);
