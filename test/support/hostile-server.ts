/**
 * A serve server that lies. `hostile-server.ts LIE STORE_DIR …` has every path that it is asked for, each a text, and has built whatever it is told to
 * build, but in the way that LIE says.
 */
import { createHash } from "node:crypto";
import { writeSync } from "node:fs";
import type { ByteString } from "../../src/formats/byte-string.ts";
import { type Codec, runSync } from "../../src/formats/codec.ts";
import {
  type Command,
  commands,
  commandName,
  type ServePathInfo,
  serveContext,
} from "../../src/formats/serve-protocol/commands.ts";
import { greetServeClient } from "../../src/formats/serve-protocol/version.ts";
import { extensionMarker } from "../../src/remote/delta/extension.ts";
import { parseStoreDir, parseStorePath } from "../../src/formats/store-path.ts";
import { readNumber, WireWriter } from "../../src/formats/wire.ts";
import { fdReader } from "../../src/sys/fd-reader.ts";

const [lie, storeDirText] = process.argv.slice(2);
const storeDir = parseStoreDir(storeDirText as ByteString);
const reader = fdReader(0, "standard input");

/** Written at once, however long it takes. */
function write(bytes: Uint8Array, fd = 1): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

const text = (...words: string[]) =>
  words.reduce((writer, word) => writer.string(word as ByteString), new WireWriter());
const nar = text("nix-archive-1", "(", "type", "regular", "contents", "hello", ")").take();
const directoryWith = (...names: string[]) => {
  const entry = (name: string) => [
    "entry",
    "(",
    "name",
    name,
    "node",
    "(",
    "type",
    "regular",
    "contents",
    "x",
    ")",
    ")",
  ];
  return text("nix-archive-1", "(", "type", "directory", ...names.flatMap(entry), ")").take();
};
const hugeFile = Buffer.concat([
  text("nix-archive-1", "(", "type", "regular", "contents").take(),
  Buffer.from(new BigUint64Array([1n << 62n]).buffer),
]);
const nars: Readonly<Record<string, Uint8Array>> = {
  "other-contents": text("nix-archive-1", "(", "type", "regular", "contents", "HELLO", ")").take(),
  "name-dots": directoryWith(".."),
  "name-slash": directoryWith("../../escaped"),
  "name-twice": directoryWith("a", "a"),
  "huge-file": hugeFile,
};
const sent = nars[lie!] ?? nar;
const stated = lie === "other-contents" ? nar : sent;
const missing = parseStorePath("0123456789abcdfghijklmnpqrsvwxyz-missing");
const planted = parseStorePath("0123456789abcdfghijklmnpqrsvwxyz-planted");

function infoOf(path: ServePathInfo["path"]): ServePathInfo {
  return {
    path,
    deriver: undefined,
    references: lie === "missing-reference" ? [missing] : [],
    downloadSize: stated.length,
    narSize: lie === "other-size" ? stated.length + 8 : stated.length,
    narHash: { algo: "sha256", bytes: createHash("sha256").update(stated).digest() },
    contentAddress: undefined,
    signatures: [],
  };
}

const { minor } = runSync(greetServeClient(write) as Codec<{ minor: number }>, reader);
const context = serveContext(storeDir, minor);

for (;;) {
  if (reader.atEnd()) process.exit(0);
  const name = commandName(runSync(readNumber("command", 0xffff_ffff), reader));
  const take = <R>(command: Command<R, unknown>) => runSync(command.request.read(context, "request"), reader);
  const reply = <Q, R>(command: Command<Q, R>, value: R) => {
    const writer = new WireWriter();
    command.reply.write(writer, value, context);
    write(writer.take());
  };
  switch (name) {
    case "queryValidPaths": {
      const { paths } = take(commands.queryValidPaths);
      if (lie === "endless-list") write(new WireWriter().u64(2 ** 50).take());
      if (lie === "endless-stderr") for (;;) write(Buffer.alloc(65_536, "\x1b[2J noise\n"), 2);
      if (lie === "escapes") {
        write(Buffer.from("error: \x1b[2J\x1b]0;title\x07gone\n"), 2);
        process.exit(1);
      }
      const known = paths.filter((path) => path !== extensionMarker);
      if (lie === "hang" && known.length > 0) await new Promise((resolve) => setTimeout(resolve, 60_000));
      reply(commands.queryValidPaths, known);
      break;
    }
    case "queryPathInfos": {
      const { paths } = take(commands.queryPathInfos);
      reply(commands.queryPathInfos, [...paths, ...(lie === "planted" ? [planted] : [])].map(infoOf));
      break;
    }
    case "queryClosure":
      reply(commands.queryClosure, take(commands.queryClosure).paths);
      break;
    case "dumpStorePath":
      take(commands.dumpStorePath);
      write(lie === "hang-in-nar" ? sent.subarray(0, 32) : sent);
      if (lie === "huge-file") for (;;) write(Buffer.alloc(1 << 20));
      break;
    case "buildDerivation":
      take(commands.buildDerivation);
      reply(commands.buildDerivation, {
        status: "built",
        errorMessage: "" as ByteString,
        timesBuilt: 1,
        isNonDeterministic: false,
        startTimeSec: 0,
        stopTimeSec: 0,
        builtOutputs: new Map(),
      });
      break;
    default:
      process.exit(3);
  }
}
