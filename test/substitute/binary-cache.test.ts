import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { deleteTree } from "../../src/sys/delete-tree.ts";
import { makeDerivation, openPeerStore, type PeerStore, skipWithoutBusybox } from "../support/peer-stores.ts";
import { siloProgram } from "../support/silo-binary.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const text = `let ${makeDerivation} in rec {
  a = mk "a" "for i in $(/bin/busybox seq 1 2000); do echo $i $i; done > $out" {};
  b = mk "b" "/bin/busybox mkdir -p $out/bin; echo \${a} $out > $out/bin/x; /bin/busybox ln -s x $out/bin/y" {};
}`;

interface Cache {
  readonly store: PeerStore;
  readonly dir: string;
  readonly publicKey: string;
  readonly b: string;
  readonly outA: string;
  readonly outB: string;
  /** The whole of what is served. */
  readonly rows: unknown;
}

/** A cache of \`b\` and what it needs, made by stock Nix; the store has neither any more. */
async function withCache(compression: string, use: (cache: Cache) => void | Promise<void>): Promise<void> {
  const base = mkdtempSync(join(realpathSync(tmpdir()), "silo-cache-"));
  try {
    const store = openPeerStore(join(base, "x"), "");
    const dir = join(base, "cache");
    const [secret, publicFile] = [join(base, "secret"), join(base, "public")];
    store.run("nix", ["--generate-binary-cache-key", "test-1", secret, publicFile]);
    const [b] = store.instantiate(text, "b");
    const outB = store.run("nix", ["--realise", "--no-gc-warning", b!]).stdout.trim();
    const outA = store
      .run("nix", ["--query", "--references", outB])
      .stdout.split("\n")
      .find((path) => path.endsWith("-a"))!;
    const to = `file://${dir}?compression=${compression}&secret-key=${secret}`;
    const copy = spawnSync("nix", ["--extra-experimental-features", "nix-command", "copy", "--to", to, outB], {
      env: { ...store.env },
    });
    assert.equal(copy.status, 0, String(copy.stderr));
    const { paths, references } = store.rows();
    const rows = { paths: paths!.map((row) => row.slice(0, 4)), references };
    for (const path of [outB, outA]) assert.equal(store.run("nix", ["--delete", path]).status, 0);
    await use({ store, dir, publicKey: readFileSync(publicFile, "utf8").trim(), b: b!, outA, outB, rows });
  } finally {
    deleteTree(base);
  }
}

function configure({ store, publicKey }: Cache, substituter: string, more = ""): void {
  const lines = `substituters = ${substituter}\ntrusted-public-keys = ${publicKey}\n${more}`;
  appendFileSync(join(store.dir, "conf", "nix.conf"), lines);
}

/** What was fetched is what was built. */
function assertSame({ store, rows }: Cache): void {
  const { paths, references } = store.rows();
  assert.deepEqual({ paths: paths!.map((row) => row.slice(0, 4)), references }, rows);
  assert.equal(store.run("nix", ["--verify", "--check-contents"]).status, 0);
}

describe("binary caches made by Nix", { skip: skipWithoutNix || skipWithoutBusybox }, () => {
  for (const compression of ["none", "xz", "bzip2", "gzip", "zstd"]) {
    test(`in a directory, with ${compression}`, () =>
      withCache(compression, (cache) => {
        configure(cache, `file://${cache.dir}`);
        const dry = cache.store.run("silo", ["--realise", "--dry-run", cache.b]);
        const nixDry = cache.store.run("nix", ["--realise", "--dry-run", cache.b]);
        assert.equal(dry.stderr, nixDry.stderr);
        const result = cache.store.run("silo", ["--realise", "--no-gc-warning", cache.b]);
        assert.deepEqual([result.status, result.stdout], [0, `${cache.outB}\n`], result.stderr);
        assert.deepEqual(
          result.stderr.split("\n").filter((line) => line.startsWith("copying")),
          [cache.outA, cache.outB].map((path) => `copying path '${path}' from 'file://${cache.dir}'...`),
        );
        assertSame(cache);
      }));
  }

  test("over http, from a server that fails now and then", () =>
    withCache("xz", async (cache) => {
      let requests = 0;
      const server = createServer((request, response) => {
        requests++;
        const file = join(cache.dir, decodeURIComponent(request.url!));
        if (requests % 3 === 1) response.writeHead(503).end();
        else if (existsSync(file)) response.end(readFileSync(file));
        else response.writeHead(404).end();
      });
      const url = await listen(server);
      try {
        configure(cache, url);
        const result = await runAsync(cache.store, ["--realise", "--no-gc-warning", cache.b]);
        assert.deepEqual([result.status, result.stdout], [0, `${cache.outB}\n`], result.stderr);
        assertSame(cache);
      } finally {
        server.close();
      }
    }));

  test("unsigned, or signed by others: built instead, unless signatures are not asked for", () =>
    withCache("none", (cache) => {
      configure({ ...cache, publicKey: "" }, `file://${cache.dir}`);
      const built = cache.store.run("silo", ["--realise", cache.b]);
      assert.equal(built.status, 0, built.stderr);
      assert.match(built.stderr, /^warning: ignoring substitute for '.*-b' from 'file:.*', as it's not signed/m);
      assert.match(built.stderr, /^building /m);
      for (const path of [cache.outB, cache.outA]) cache.store.run("nix", ["--delete", path]);
      const fetched = cache.store.run("silo", ["--realise", "--option", "require-sigs", "false", cache.b]);
      assert.equal(fetched.status, 0, fetched.stderr);
      assert.doesNotMatch(fetched.stderr, /^building /m);
    }));

  test("damaged archives are not believed", () =>
    withCache("none", (cache) => {
      configure(cache, `file://${cache.dir}`);
      for (const name of readdirSync(join(cache.dir, "nar"))) {
        const file = join(cache.dir, "nar", name);
        const bytes = readFileSync(file);
        bytes[bytes.length >> 1]! ^= 1;
        writeFileSync(file, bytes);
      }
      const result = cache.store.run("silo", ["--realise", cache.b]);
      assert.equal(result.status, 1);
      assert.match(result.stderr, /try '--fallback' to build derivation from source|failed to build/);
      assert.equal(cache.store.run("nix", ["--check-validity", cache.outA]).status, 1);
      assert.equal(cache.store.run("silo", ["--realise", "--fallback", cache.b]).status, 0);
      assertSame(cache);
    }));

  test("of another store directory, or none at all: told of once, and building goes on", () =>
    withCache("none", (cache) => {
      configure(cache, `file://${cache.dir} file:///nonexistent`);
      writeFileSync(join(cache.dir, "nix-cache-info"), "StoreDir: /other/store\n");
      const result = cache.store.run("silo", ["--realise", cache.b]);
      assert.equal(result.status, 0, result.stderr);
      const warnings = result.stderr.split("\n").filter((line) => line.startsWith("warning: disabling"));
      assert.equal(warnings.length, 2);
      assert.match(warnings[0]!, /it is for Nix stores with prefix '\/other\/store'/);
    }));
});

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** While this process serves. */
async function runAsync(store: PeerStore, args: readonly string[]) {
  const child = spawn(siloProgram("nix-store"), args, { env: { ...store.env }, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString("latin1");
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString("latin1");
  });
  const [status] = await once(child, "close");
  return { status: status as number, stdout, stderr };
}
