/**
 * download-via-ssh: a substituter program of Nix 1.7. It fetches from the first of `ssh-substituter-hosts`, and is switched off when
 * there is none.
 *
 *     --query                       questions on standard input: `have PATHS`, `info PATHS`
 *     --substitute PATH DEST        restores the path to DEST
 *
 * See src/substitute/substituter-program.ts, which is the other side.
 */
import { SiloError, UsageError } from "../error.ts";
import { type ByteString, fromText, toText } from "../formats/byte-string.ts";
import { parseFullStorePath, printStorePath, type StoreDir, type StorePath } from "../formats/store-path.ts";
import { remoteMachine } from "../remote/open-remote-store.ts";
import type { RemoteStore } from "../remote/remote-store.ts";
import { directoriesFromEnvironment } from "../store/directories.ts";
import { loadSettings } from "../store/load-settings.ts";
import { silentReporter } from "../store/reporter.ts";
import { restoreTree } from "../store/tree/restore.ts";
import { deleteTree } from "../sys/delete-tree.ts";
import { fdReader } from "../sys/fd-reader.ts";
import type { Applet } from "./applet.ts";
import type { Io } from "./io.ts";
import { oldSubstituterAddress } from "./remote-substituters.ts";

const page = `download-via-ssh: Fetch from another machine's store, as a substituter program of Nix 1.7

Examples:
  # In the nix.conf of a Nix 1.7 that finds this program in its libexec/nix/substituters
  ssh-substituter-hosts = alice@server

Usage:
  download-via-ssh --query                        questions come on standard input: have PATHS, info PATHS
  download-via-ssh --substitute PATH DESTINATION  restore the store path PATH as DESTINATION

silo fetches from other machines by itself: it takes 'substituters = ssh://alice@server' without this program.
`;

export const downloadViaSsh: Applet = {
  name: "download-via-ssh",
  summary: "Fetch from another machine's store, as a substituter program of Nix 1.7",
  async run(args, io) {
    if (args[0] === "--help" || args[0] === "-h") {
      io.out(page);
      return 0;
    }
    const directories = directoriesFromEnvironment(io.env);
    const { settings } = loadSettings(io.env, directories);
    const [host] = settings.get("ssh-substituter-hosts");
    if (host === undefined) return 0; // switched off
    const { storeDir } = directories;
    const address = oldSubstituterAddress(toText(host));
    const connectTimeoutMs = settings.get("connect-timeout") * 1000;
    const stalledTimeoutMs = settings.get("stalled-download-timeout") * 1000;
    const options = { env: io.env, reporter: silentReporter, connectTimeoutMs, stalledTimeoutMs, attempts: 2 };
    const machine = remoteMachine(address, storeDir, options);
    try {
      const [mode, path, destination] = args;
      if (mode === "--query" && args.length === 1) return await answer(io, storeDir, () => machine.open());
      if (mode === "--substitute" && args.length === 3) {
        const storePath = parseFullStorePath(storeDir, path!);
        io.err(`downloading '${path}' via SSH from '${host}'...`);
        return await substitute(io, storePath, destination!, await machine.open());
      }
      throw new UsageError("download-via-ssh is started by Nix: --query, or --substitute PATH DESTINATION");
    } finally {
      machine.close();
    }
  },
};

class BadQuery extends SiloError {
  readonly code = "bad-query";
}

async function answer(io: Io, storeDir: StoreDir, open: () => Promise<RemoteStore>): Promise<number> {
  io.out("\n"); // ready
  io.flush();
  const reader = fdReader(io.stdinFd, "standard input");
  let remote: RemoteStore | undefined;
  for (;;) {
    const line = readLine(reader);
    if (line === undefined) break;
    const [question, ...words] = line.split(" ").filter((word) => word !== "");
    const paths = words.map((word) => parseFullStorePath(storeDir, word));
    remote ??= await open();
    if (question === "have") {
      const valid = await remote.queryValidPaths(paths, { roots: "none", substitute: "no" });
      for (const path of valid) io.out(`${printStorePath(storeDir, path)}\n`);
    } else if (question === "info") {
      for (const info of (await remote.queryPathInfos(paths)).values()) {
        const show = (path: StorePath | undefined) => (path === undefined ? "" : printStorePath(storeDir, path));
        const size = info.narSize ?? 0;
        io.out(`${show(info.path)}\n${show(info.deriver)}\n${info.references.length}\n`);
        for (const reference of info.references) io.out(`${show(reference)}\n`);
        io.out(`${size}\n${size}\n`);
      }
    } else throw new BadQuery(`unknown substituter query ${JSON.stringify(question ?? "")}`);
    io.out("\n");
    io.flush();
  }
  remote?.close();
  return 0;
}

async function substitute(io: Io, path: StorePath, destination: string, remote: RemoteStore): Promise<number> {
  const info = (await remote.queryPathInfos([path])).get(path);
  if (info === undefined) throw new BadQuery(`'${remote.name}' does not have '${path}'`);
  const restorer = restoreTree(destination, "plain");
  try {
    for await (const { show } of remote.download([info])) await show(restorer);
  } catch (error) {
    restorer.abandon();
    deleteTree(destination);
    throw error;
  }
  remote.close();
  io.out("\n\n"); // ready, and no hash: whoever asked computes it
  return 0;
}

function readLine(reader: ReturnType<typeof fdReader>): ByteString | undefined {
  if (reader.atEnd()) return undefined;
  let line = "";
  for (;;) {
    if (reader.atEnd()) return fromText(line);
    const byte = reader.take(1)[0]!;
    if (byte === 0x0a) return line as ByteString;
    line += String.fromCharCode(byte);
    if (line.length > maxLineBytes) throw new BadQuery("a substituter query is too long");
  }
}

const maxLineBytes = 64 * 1024 * 1024;
