/** silo's client through stock Nix's daemon, and through its own, in every version of the protocol that they may agree on. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { openDaemonStore } from "../../src/daemon/client/daemon-store.ts";
import { bytesReader } from "../../src/formats/bytes-reader.ts";
import { parseStoreDir, parseStorePath, type StorePath } from "../../src/formats/store-path.ts";
import { recursiveSha256 } from "../../src/store/add.ts";
import type { Store } from "../../src/store/store.ts";
import { silentReporter } from "../../src/store/reporter.ts";
import { settledDatabase, withDaemon } from "../support/running-daemon.ts";
import { settingsOf } from "../support/settings-facts.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";
import { createTempStore, type Maker, type TempStore } from "../support/temp-store.ts";

const missing = parseStorePath("00000000000000000000000000000000-none");

function connect(store: TempStore, socket: string, newestMinor: number): Store & ReturnType<typeof openDaemonStore> {
  return openDaemonStore(socket, {
    storeDir: parseStoreDir(store.storeDir),
    settings: settingsOf([["substitute", "false"]]),
    reporter: silentReporter,
    verbosity: 3,
    builderOutput: "results",
    newestMinor,
  });
}

const collected = (produce: (onBytes: (bytes: Uint8Array) => void) => void): string => {
  const parts: Uint8Array[] = [];
  produce((bytes) => parts.push(Uint8Array.from(bytes)));
  return Buffer.concat(parts).toString("hex");
};

/** Everything that a store can be asked, and adding; what comes of it. */
async function exercise(store: TempStore, remote: ReturnType<typeof connect>, drv: StorePath) {
  const name = (text: string) => text.replaceAll(store.dir, "DIR");
  const tree = remote.addPath(`${store.dir}/tree`, { name: "tree", method: recursiveSha256 });
  const flat = remote.addPath(`${store.dir}/tree/a`, {
    name: "a",
    method: { kind: "fixed", method: "flat", hashAlgo: "sha1" },
  });
  const text = remote.addText("text", Buffer.from("text"), [tree]);
  const info = remote.requirePathInfo(text);
  const exported = collected((onBytes) => remote.exportPaths([tree, text], onBytes));
  const imported = remote.importPaths(bytesReader(Buffer.from(exported, "hex"), "stream"));
  await remote.build.buildPaths(
    [{ kind: "built", drvPath: drv, outputs: { kind: "all" } }],
    "normal",
    new AbortController().signal,
  );
  const outputs = remote.queryDerivationOutputs(drv);
  const out = outputs.get("out")!;
  await assert.rejects(remote.build.ensurePath(missing, new AbortController().signal));
  const answers = {
    added: [tree, flat, text],
    info: { ...info, registrationTimeSec: 0, contentAddress: undefined, ultimate: false },
    none: remote.queryPathInfo(missing),
    valid: [...remote.queryValidPaths([tree, missing, flat])].sort(),
    all: remote.queryAllValidPaths().sort(),
    infos: [...remote.queryPathInfos([text, missing, tree]).keys()].sort(),
    referrers: remote.queryReferrers(tree).filter((path) => path !== tree),
    byHash: remote.queryPathFromHashPart(tree.slice(0, 32)),
    nothingByHash: remote.queryPathFromHashPart("0".repeat(32)),
    outputs: [...outputs].sort(),
    derivers: remote.queryValidDerivers(out),
    closure: remote.computeClosure([text, out]),
    withOutputs: remote.computeClosure([drv], "references", { outputs: true }),
    withDerivers: remote.computeClosure([out], "references", { derivers: true }),
    referrersClosure: remote.computeClosure([tree], "referrers"),
    back: remote.computeClosure([out], "referrers", { outputs: true, derivers: true }),
    sorted: remote.computeSortedClosure([text]),
    topological: remote.sortTopologically([text, tree, missing]).filter((path) => path !== missing),
    nar: collected((onBytes) => remote.dumpPath(tree, onBytes)),
    exported,
    imported,
    deriver: remote.requirePathInfo(out).deriver,
    missing: (await remote.build.queryMissing([{ kind: "opaque", path: missing }])).unknown,
    nothingMissing: (await remote.build.queryMissing([{ kind: "built", drvPath: drv, outputs: { kind: "all" } }]))
      .willBuild,
    roots: (await remote.collect.findRoots()).filter(({ kind }) => kind === "link").map(({ target }) => target),
  };
  remote.addTempRoots([tree]);
  remote.addPermanentRoot(tree, `${store.dir}/root`);
  const rooted = (await remote.collect.findRoots())
    .filter(({ target }) => target === tree)
    .map(({ link }) => name(link));
  assert.throws(() => remote.requirePathInfo(missing), /not valid/);
  assert.throws(
    () =>
      remote.addNar(bytesReader(Buffer.from("no archive at all".repeat(10)), "x"), {
        name: "x",
        method: recursiveSha256,
      }),
    /NAR/,
  );
  return { answers, rooted: [...new Set(rooted)].filter((link) => link.startsWith("DIR/root")) };
}

async function prepare(store: TempStore): Promise<StorePath> {
  mkdirSync(`${store.dir}/tree/sub`, { recursive: true });
  writeFileSync(`${store.dir}/tree/a`, "a".repeat(100_000));
  writeFileSync(`${store.dir}/tree/sub/b`, "b");
  writeFileSync(
    `${store.dir}/x.nix`,
    `derivation { name = "x"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo x > $out" ]; }`,
  );
  const { stdout } = store.run("nix", "nix-instantiate", [`${store.dir}/x.nix`]);
  return parseStorePath(
    stdout
      .toString()
      .trim()
      .slice(store.storeDir.length + 1),
  );
}

describe("silo's client", { skip: skipWithoutNix, timeout: 600_000 }, () => {
  /** Before 1.21 Nix 2.8's daemon takes no NAR from the client that it can find the end of. */
  const versions: Readonly<Record<Maker, readonly number[]>> = {
    nix: [10, 14, 16, 17, 18, 21, 22, 24, 25, 26, 30, 34, 38],
    silo: [10, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 25, 26, 27, 28, 30, 34, 36, 37, 38],
  };

  for (const maker of ["nix", "silo"] as const) {
    test(`gets the same from ${maker}'s daemon in every version`, async () => {
      const store = createTempStore();
      try {
        const drv = await prepare(store);
        await withDaemon(maker, store, async (daemon) => {
          let expected: unknown;
          for (const minor of versions[maker]) {
            const remote = connect(store, daemon.socket, minor);
            const found = await exercise(store, remote, drv).catch((error: unknown) => {
              throw new Error(`1.${minor}`, { cause: error });
            });
            remote.close();
            if (expected === undefined) {
              // The second round finds what the first one has made.
              const again = connect(store, daemon.socket, minor);
              expected = await exercise(store, again, drv);
              again.close();
              continue;
            }
            assert.deepEqual(found, expected, `1.${minor}`);
          }
        });
      } finally {
        store.remove();
      }
    });
  }

  test("as a program does what stock Nix's does, through either daemon", async () => {
    const results = new Map<string, unknown>();
    for (const daemonOf of ["nix", "silo"] as const) {
      for (const client of ["nix", "silo"] as const) {
        const store = createTempStore("own-directory");
        try {
          await prepare(store);
          await withDaemon(daemonOf, store, async () => {
            results.set(`${client} through ${daemonOf}`, await playPrograms(client, store));
          });
        } finally {
          store.remove();
        }
      }
    }
    const expected = results.get("nix through nix");
    for (const [who, result] of results) assert.deepEqual(result, expected, who);
  });
});

async function playPrograms(client: Maker, store: TempStore) {
  const options = { env: { NIX_REMOTE: "daemon" } };
  const shorten = (text: string) => text.replaceAll(store.dir, "DIR").replaceAll(/[0-9a-z]{32}-/g, "HASH-");
  const run = (...args: string[]) => {
    const { status, stdout } = store.run(client, "nix-store", args, options);
    return { args: args.map(shorten), status, output: shorten(stdout.toString("latin1")) };
  };
  const added = store.output(client, ["--add", `${store.dir}/tree`], options).trim();
  const { stdout } = store.run("nix", "nix-instantiate", [`${store.dir}/x.nix`], options);
  const drv = stdout.toString().trim();
  const steps = [
    run("-q", "--size", added),
    run("-r", drv),
    run("-q", "--outputs", drv),
    run("-qR", drv),
    run("-q", "--deriver", added),
    run("--check-validity", added),
    run("-r", `${store.storeDir}/00000000000000000000000000000000-none`),
    run("-l", drv),
    run("--verify", "--check-contents"),
  ];
  const { paths } = await settledDatabase(store);
  return { steps, paths: paths!.map((row) => shorten(String(row[0]))).sort() };
}
