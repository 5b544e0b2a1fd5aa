/** nix-copy-closure: closures to and from machines that ssh reaches. */
import { UsageError } from "../error.ts";
import { commandApplet, type CommandLine } from "./command-line.ts";
import type { Io } from "./io.ts";
import { openSession } from "./session.ts";

const options = {
  to: { help: "Copy from here to HOST, as is the default" },
  from: { help: "Copy from HOST to here" },
  "include-outputs": { help: "Of derivations, copy their outputs, too" },
  "use-substitutes": { letter: "s", help: "Have the receiver fetch what it can from its substituters" },
  gzip: { help: "Compress what travels" },
  bzip2: { help: "The same: ssh compresses in one way" },
  xz: { help: "The same" },
  "show-progress": { help: "Progress is shown on any terminal; for compatibility" },
  "dry-run": { help: "Say what would be copied" },
  sign: { help: "Sign what is sent to a Nix 1.7, with the key signing-key.sec in the configuration directory" },
} as const;

export const nixCopyClosure = commandApplet(
  {
    name: "nix-copy-closure",
    family: "nix",
    summary: "Copy a closure to or from a remote machine via SSH",
    usage: ["[--to] [USER@]HOST PATHS…", "--from [USER@]HOST PATHS…"],
    examples: [
      {
        does: "A program with all it needs, to a machine",
        command: "nix-copy-closure --to alice@server $(type -p firefox)",
      },
      {
        does: "From a machine",
        command: "nix-copy-closure --from alice@server /nix/store/0dj0503hjxy5mbwlafv1rsbdiyx1gkdy-subversion-1.4.4",
      },
    ],
    options,
  },
  runCopy,
);

async function runCopy(line: CommandLine<keyof typeof options>, io: Io): Promise<number> {
  if (line.has("to") && line.has("from")) throw new UsageError("'--to' and '--from' exclude each other");
  const [host, ...paths] = line.operands;
  if (host === undefined) throw new UsageError("no host name specified");
  const compress = line.has("gzip") || line.has("bzip2") || line.has("xz");
  const session = openSession(line, io);
  const { copy, copyAddress } = await import("./copy-closures.ts");
  const address = copyAddress(host, compress ? "compress" : "plain");
  await copy(session, address, line.has("from") ? "from" : "to", paths, {
    outputs: line.has("include-outputs") ? "include" : "leave-out",
    substitute: line.has("use-substitutes") ? "use" : "no",
    run: line.has("dry-run") ? "dry" : "copy",
  });
  return 0;
}
