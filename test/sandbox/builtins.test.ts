import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import type { ByteString } from "../../src/formats/byte-string.ts";
import { hashBytes, printBareHash } from "../../src/formats/hash.ts";
import { encodeNar } from "../../src/formats/nar/tree.ts";
import { findLogin } from "../../src/sandbox/builtin/netrc.ts";
import type { BuiltinDownloads } from "../../src/store/builder-runner.ts";
import { deleteTree } from "../../src/sys/delete-tree.ts";
import { type Case, testStore } from "../support/sandboxed-builder.ts";
import { siloProgram } from "../support/silo-binary.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const store = testStore();
after(() => store.remove());

/** Runs `builtin:<name>`; attributes get `out`. */
function builtin(name: string, attributes: Readonly<Record<string, string>>, more: Partial<Case> = {}) {
  return downloading(name, attributes, {}, more);
}

async function downloading(
  name: string,
  attributes: Readonly<Record<string, string>>,
  downloads: BuiltinDownloads,
  more: Partial<Case> = {},
) {
  deleteTree(store.out);
  const entries = Object.entries({ out: store.out, ...attributes }) as [ByteString, ByteString][];
  const program = { kind: "builtin", name, attributes: new Map(entries), downloads } as const;
  const { exit, log } = await store.run({ isolation: "none", program, ...more });
  return { status: exit.kind === "exited" ? exit.status : exit, log };
}

function withoutProgress(log: string): string {
  return log.replace(/^@nix .*\n/gm, "");
}

describe("builtin:fetchurl", () => {
  let requests: string[] = [];
  let answer: (request: IncomingMessage, response: ServerResponse) => void = () => {};
  const server = createServer((request, response) => {
    requests.push(request.url!);
    answer(request, response);
  });
  let url = "";
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  });
  after(() => server.close());

  function serve(reply: typeof answer): void {
    requests = [];
    answer = reply;
  }

  test("writes one file, also from inside a sandbox", async () => {
    const contents = Buffer.alloc(3_000_000, "abc\xff", "latin1");
    serve((_, response) => response.end(contents));
    for (const isolation of ["none", "sandbox"] as const) {
      const sandbox = { sandbox: { network: "host" } } as const;
      const { status, log } = await builtin("fetchurl", { url: `${url}/file` }, { isolation, ...sandbox });
      assert.equal(status, 0, log);
      assert.ok(readFileSync(store.out).equals(contents));
      assert.equal(statSync(store.out).mode & 0o777, 0o644);
      assert.equal(withoutProgress(log), "");
    }
  });

  test("tells of its progress as builders may", async () => {
    serve((_, response) => response.end("contents"));
    const { log } = await builtin("fetchurl", { url: `${url}/file` });
    const messages = log.split("\n").map((line) => line && JSON.parse(line.slice("@nix ".length)));
    assert.deepEqual(messages[0], {
      action: "start",
      id: 1,
      level: 4,
      text: `downloading '${url}/file'`,
      type: 101,
      fields: [`${url}/file`],
    });
    assert.deepEqual(messages.slice(-3), [
      { action: "result", id: 1, type: 105, fields: [8, 8, 0, 0] },
      { action: "stop", id: 1 },
      "",
    ]);
  });

  test("makes it executable, and follows redirections", async () => {
    serve((request, response) => {
      if (request.url === "/there") response.end("#!/bin/sh\n");
      else response.writeHead(302, { Location: "/there" }).end();
    });
    const { status } = await builtin("fetchurl", { url: `${url}/here`, executable: "1" });
    assert.equal(status, 0);
    assert.equal(statSync(store.out).mode & 0o777, 0o755);
    assert.deepEqual(requests, ["/here", "/there"]);
  });

  test("unpacks a NAR, and decompresses it when the URL says xz", async () => {
    const file = { kind: "executable", contents: Buffer.from("x") } as const;
    const nar = Buffer.from(encodeNar({ kind: "directory", entries: new Map([["file" as ByteString, file]]) }));
    const compressed = spawnSync("xz", ["-c"], { input: nar }).stdout;
    serve((request, response) => response.end(request.url === "/tree.nar.xz" ? compressed : nar));
    for (const name of ["tree.nar", "tree.nar.xz"]) {
      const { status, log } = await builtin("fetchurl", { url: `${url}/${name}`, unpack: "1" });
      assert.equal(status, 0, log);
      assert.equal(readFileSync(`${store.out}/file`, "latin1"), "x");
      assert.equal(statSync(`${store.out}/file`).mode & 0o777, 0o755);
    }
  });

  test("refuses what is no NAR", async () => {
    serve((_, response) => response.end("something else ".repeat(100)));
    const { status, log } = await builtin("fetchurl", { url: `${url}/tree.nar`, unpack: "1" });
    assert.equal(status, 1);
    assert.match(withoutProgress(log), /^error: Cannot read NAR: /);
  });

  test("says why the server refuses, at once", async () => {
    serve((_, response) => response.writeHead(404).end());
    const { status, log } = await builtin("fetchurl", { url: `${url}/missing` });
    assert.equal(status, 1);
    assert.equal(withoutProgress(log), `error: unable to download '${url}/missing': HTTP error 404 ('Not Found')\n`);
    assert.equal(requests.length, 1);
  });

  test("tries again when a failure may pass, with what was there before gone", async () => {
    serve((_, response) => {
      if (requests.length === 1) response.writeHead(503).end();
      else if (requests.length === 2) response.writeHead(200, { "Content-Length": "100" }).write("only a part");
      else response.end("all of it");
      if (requests.length === 2) setImmediate(() => response.destroy());
    });
    const { status, log } = await downloading("fetchurl", { url: `${url}/flaky` }, { attempts: 3 });
    assert.equal(status, 0, log);
    assert.equal(readFileSync(store.out, "latin1"), "all of it");
    assert.match(
      log,
      /"msg":"warning: unable to download '.*': HTTP error 503 \('Service Unavailable'\); retrying in /,
    );
  });

  test("gives up after as many attempts as it is told", async () => {
    serve((_, response) => response.writeHead(500).end());
    const { status } = await downloading("fetchurl", { url: `${url}/broken` }, { attempts: 2 });
    assert.deepEqual([status, requests.length], [1, 2]);
  });

  test("logs in with netrc, which the sandbox does not show", async () => {
    writeFileSync(
      `${store.dir}/netrc`,
      "machine other login no password no\nmachine 127.0.0.1\nlogin me password se\\cret\n",
    );
    serve((request, response) => response.end(request.headers.authorization ?? "nobody"));
    const downloads = { netrcFile: `${store.dir}/netrc` };
    const more = { isolation: "sandbox", sandbox: { network: "host" } } as const;
    assert.equal((await downloading("fetchurl", { url: `${url}/private` }, downloads, more)).status, 0);
    assert.equal(readFileSync(store.out, "latin1"), `Basic ${Buffer.from("me:se\\cret").toString("base64")}`);
  });

  test("goes through the proxy of its environment", async () => {
    serve((_, response) => response.end("from the proxy"));
    const more = { env: { http_proxy: url } };
    assert.equal((await builtin("fetchurl", { url: "http://some.where/file" }, more)).status, 0);
    assert.equal(readFileSync(store.out, "latin1"), "from the proxy");
    assert.deepEqual(requests, ["http://some.where/file"]);
  });

  test("runs in the compiled program, too", async () => {
    const runner = { stageCommand: [siloProgram("silo")] };
    for (const isolation of ["none", "sandbox"] as const) {
      const { status, log } = await builtin("fetchurl", { url: "data:,hello" }, { isolation, runner });
      assert.equal(status, 0, log);
      assert.equal(readFileSync(store.out, "latin1"), "hello");
    }
  });

  test("asks hashed mirrors first, and goes on without them", async () => {
    const hash = hashBytes("sha256", "mirrored");
    const attributes = {
      url: `${url}/origin`,
      outputHash: printBareHash(hash, "base32"),
      outputHashAlgo: "sha256",
      outputHashMode: "flat",
    };
    serve((request, response) => {
      if (request.url!.startsWith("/empty/")) response.writeHead(404).end();
      else response.end(request.url!.startsWith("/full/") ? "mirrored" : "origin");
    });
    const mirrors = { hashedMirrors: [`${url}/empty`, `${url}/full/`] };
    assert.equal((await downloading("fetchurl", attributes, mirrors)).status, 0);
    assert.equal(readFileSync(store.out, "latin1"), "mirrored");
    const path = `sha256/${printBareHash(hash, "base16")}`;
    assert.deepEqual(requests, [`/empty/${path}`, `/full/${path}`]);
    await downloading("fetchurl", attributes, { hashedMirrors: [`${url}/empty`] });
    assert.equal(readFileSync(store.out, "latin1"), "origin");
  });

  test("takes data: and file: URLs", async () => {
    writeFileSync(`${store.dir}/a file`, "from a file");
    for (const [from, contents] of [
      ["data:text/plain;base64,aGVsbG8=", "hello"],
      [`file://${store.dir}/a%20file`, "from a file"],
    ] as const) {
      const { status, log } = await builtin("fetchurl", { url: from });
      assert.equal(status, 0, log);
      assert.equal(readFileSync(store.out, "latin1"), contents);
    }
  });

  test("does not see files of the host from inside a sandbox", async () => {
    const { status, log } = await builtin("fetchurl", { url: "file:///etc/shadow" }, { isolation: "sandbox" });
    assert.deepEqual([status, log], [1, "error: opening file '/etc/shadow': No such file or directory\n"]);
  });

  test("says what it does not understand", async () => {
    for (const [from, reason] of [
      ["gopher://host/x", "the URL scheme is not http, https, file or data"],
      ["http://", "it is not a URL"],
    ] as const) {
      const { log } = await builtin("fetchurl", { url: from });
      assert.equal(withoutProgress(log), `error: unable to download '${from}': ${reason}\n`);
    }
    assert.equal((await builtin("fetchurl", {})).log, "error: attribute 'url' missing\n");
  });
});

test("netrc: the first entry for a host, or the default", () => {
  const netrc = `# a comment
    machine one login a password "with \\"quotes\\" and blanks"
    macdef init
    machine hidden login x password y

    machine two account z password b login c
    machine three
    default login d password e machine late login f`;
  assert.deepEqual(findLogin(netrc, "one"), { login: "a", password: 'with "quotes" and blanks' });
  assert.deepEqual(findLogin(netrc, "two"), { login: "c", password: "b" });
  assert.deepEqual(findLogin(netrc, "hidden"), { login: "d", password: "e" });
  assert.deepEqual(findLogin(netrc, "anything"), { login: "d", password: "e" });
  assert.equal(findLogin("machine one login a", "two"), undefined);
});

describe("builtin:unpack-channel", () => {
  const dir = mkdtempSync(join(tmpdir(), "silo-channel-"));
  after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(`${dir}/nixpkgs-1.0/sub`, { recursive: true });
  writeFileSync(`${dir}/nixpkgs-1.0/default.nix`, "{}");
  writeFileSync(`${dir}/nixpkgs-1.0/sub/run`, "run", { mode: 0o755 });
  symlinkSync("default.nix", `${dir}/nixpkgs-1.0/link`);

  test("puts the one directory of a tarball under the channel's name", async () => {
    const tar = spawnSync("tar", ["-C", dir, "-c", "nixpkgs-1.0"]).stdout;
    for (const [name, bytes] of [
      ["plain", tar],
      ["gzip", gzipSync(tar)],
      ["bzip2", spawnSync("bzip2", ["-c"], { input: tar }).stdout],
      ["xz", spawnSync("xz", ["-c"], { input: tar }).stdout],
    ] as const) {
      writeFileSync(`${dir}/${name}`, bytes);
      const { status, log } = await builtin("unpack-channel", { channelName: "nixos", src: `${dir}/${name}` });
      assert.equal(status, 0, `${name}: ${log}`);
      assert.deepEqual(readdirSync(store.out), ["nixos"]);
      assert.equal(readFileSync(`${store.out}/nixos/default.nix`, "latin1"), "{}");
      assert.equal(statSync(`${store.out}/nixos/sub/run`).mode & 0o111, 0o111);
      assert.equal(readlinkSync(`${store.out}/nixos/link`), "default.nix");
    }
  });

  test("refuses several files, and names that lead elsewhere", async () => {
    writeFileSync(`${dir}/two`, spawnSync("tar", ["-C", `${dir}/nixpkgs-1.0`, "-c", "sub", "default.nix"]).stdout);
    const several = await builtin("unpack-channel", { channelName: "nixos", src: `${dir}/two` });
    assert.deepEqual(several, { status: 1, log: `error: channel tarball '${dir}/two' contains more than one file\n` });
    const named = await builtin("unpack-channel", { channelName: "../x", src: `${dir}/plain` });
    assert.match(named.log, /channelName is not allowed to contain filesystem separators, got '\.\.\/x'/);
  });
});

/** Every path of a tree: a link with its target, or a kind. */
function listing(root: string, path = ""): string[] {
  const at = root + path;
  const status = lstatSync(at);
  if (status.isSymbolicLink()) return [`${path} -> ${readlinkSync(at).replaceAll(root, "OUT")}`];
  if (!status.isDirectory()) return [`${path} file`];
  return [
    `${path}/`,
    ...readdirSync(at)
      .sort()
      .flatMap((name) => listing(root, `${path}/${name}`)),
  ];
}

describe("builtin:buildenv", { skip: skipWithoutNix }, () => {
  const dir = mkdtempSync(join(tmpdir(), "silo-buildenv-"));
  const env = {
    PATH: process.env["PATH"],
    NIX_STORE_DIR: `${dir}/store`,
    NIX_STATE_DIR: `${dir}/state`,
    NIX_LOG_DIR: `${dir}/log`,
    NIX_CONF_DIR: `${dir}/conf`,
  };
  const nix = (...args: string[]) => spawnSync("nix-store", args, { env, encoding: "utf8" });

  /** Adds a package to the stock store; files by path, `-> target` for links. */
  function addPackage(name: string, files: Readonly<Record<string, string>>): string {
    const source = `${dir}/src/${name}`;
    mkdirSync(source, { recursive: true });
    for (const [path, contents] of Object.entries(files)) {
      mkdirSync(join(source, path, ".."), { recursive: true });
      if (contents.startsWith("-> ")) symlinkSync(contents.slice(3), join(source, path));
      else writeFileSync(join(source, path), contents);
    }
    return nix("--add", source).stdout.trim();
  }

  before(() => {
    mkdirSync(`${dir}/conf`);
    writeFileSync(`${dir}/conf/nix.conf`, "build-users-group =\nsandbox = false\nsubstituters =\n");
  });
  after(() => {
    spawnSync("chmod", ["-R", "u+w", dir]);
    chmodSync(dir, 0o700);
    rmSync(dir, { recursive: true, force: true });
  });

  let cases = 0;

  /** What stock Nix makes or says, and what silo does. */
  async function both(derivations: string, manifest: string) {
    const name = `env-${cases++}`;
    const expression = `derivation { name = "${name}"; system = "builtin"; builder = "builtin:buildenv";
      derivations = "${derivations}"; manifest = "${manifest}"; }`;
    writeFileSync(`${dir}/${name}.nix`, expression);
    const drv = spawnSync("nix-instantiate", [`${dir}/${name}.nix`], { env, encoding: "utf8" });
    const built = nix("-r", drv.stdout.trim());
    const ours = await builtin("buildenv", { derivations, manifest });
    return { built, ours };
  }

  async function same(derivations: string): Promise<string[]> {
    const manifest = addPackage("manifest", { x: "manifest" });
    const { built, ours } = await both(derivations, manifest);
    assert.equal(built.status, 0, built.stderr);
    assert.equal(ours.status, 0, ours.log);
    const tree = listing(store.out);
    assert.deepEqual(tree, listing(built.stdout.trim()));
    return tree;
  }

  test("makes the tree that stock Nix makes", async () => {
    const one = addPackage("one", {
      "bin/one": "1",
      "share/doc/one/readme": "1",
      "lib/dangling": "-> /nowhere",
      "lib/pkg/a": "1",
      "nix-support/propagated-build-inputs": "x",
      ".hidden": "x",
      "share/info/dir": "x",
      "manifest.nix": "x",
    });
    const two = addPackage("two", { "bin/two": "2", "share/doc/two/readme": "2", "lib/pkg/b": "2", "only/two/x": "2" });
    const three = addPackage("three", { "bin/one": "3", "lib/pkg/a": "3", linkdir: `-> ${two}/only` });
    const wanted = addPackage("wanted", { "bin/wanted": "w", "bin/one": "w" });
    const wants = addPackage("wants", {
      "bin/wants": "w",
      "nix-support/propagated-user-env-packages": `${wanted} ${one}\n`,
    });
    const tree = await same(`true 5 1 ${one} true 5 1 ${two} true 7 1 ${three} false 5 1 ${one} true 5 1 ${wants}`);
    assert.ok(tree.includes(`/bin/one -> ${one}/bin/one`));
    assert.ok(tree.includes(`/bin/wanted -> ${wanted}/bin/wanted`));
    await same(`true 3 2 ${three} ${two} true 5 1 ${one}`);
    await same("");
    const [x, y] = [addPackage("x", { "x/y": "file" }), addPackage("y", { "x/y/z": "directory" })];
    await same(`true 6 1 ${x} true 5 1 ${y}`);
    await same(
      `true 5 1 ${addPackage("deep", { "a/b/c/d": "1" })} true 5 1 ${addPackage("deep2", { "a/b/c/e": "1" })}`,
    );
  });

  test("refuses what stock Nix refuses, and says the same", async () => {
    const file = addPackage("file", { "x/y": "file" });
    const other = addPackage("other", { "x/y": "other" });
    const directory = addPackage("directory", { "x/y/z": "directory" });
    const manifest = addPackage("manifest", { x: "manifest" });
    for (const derivations of [`true 5 1 ${file} true 5 1 ${other}`, `true 5 1 ${file} true 6 1 ${directory}`]) {
      const { built, ours } = await both(derivations, manifest);
      assert.equal(ours.status, 1, derivations);
      assert.notEqual(built.status, 0);
      const out = /env-[0-9]+$/.exec(built.stderr.match(/\S+-env-[0-9]+/)?.[0] ?? "")?.[0];
      assert.ok(out !== undefined);
      const [, message] = /^error: (.*)\n$/.exec(ours.log)!;
      const said = built.stderr.replace(/\s+/g, " ").replaceAll(/\/\S+-env-[0-9]+(?=[/'])/g, "OUT");
      assert.ok(said.includes(message!.replaceAll(store.out, "OUT")), `${message}\n${said}`);
    }
  });

  test("says what is wrong with its arguments", async () => {
    assert.equal(
      (await builtin("buildenv", { derivations: "true 5", manifest: "/m" })).log,
      "error: attribute 'derivations' ends in the middle of a package\n",
    );
    assert.equal(
      (await builtin("buildenv", { derivations: "true x 1 /p", manifest: "/m" })).log,
      "error: attribute 'derivations': 'x' is not a number\n",
    );
  });
});

test("an unknown built-in builder is refused", async () => {
  assert.deepEqual(await builtin("nonsense", {}), {
    status: 1,
    log: "error: unsupported builtin builder 'nonsense'\n",
  });
});
