/**
 * Input that is broken: one line that says what and where, status 1, and a store in which nothing has changed and nothing
 * is left over.
 */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { createTempStore, type TempStore } from "../support/temp-store.ts";

const u64 = (value: number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const string = (text: string | Buffer) => {
  const bytes = Buffer.from(text);
  return Buffer.concat([u64(bytes.length), bytes, Buffer.alloc(-bytes.length & 7)]);
};
const strings = (...texts: string[]) => Buffer.concat(texts.map(string));
const fileNar = (contents: string) =>
  Buffer.concat([strings("nix-archive-1", "(", "type", "regular", "contents"), string(contents), string(")")]);

function withStore(use: (store: TempStore, path: string) => void): void {
  const store = createTempStore();
  try {
    writeFileSync(join(store.dir, "known"), "known contents");
    use(store, store.output("silo", ["--add", "known"]).trim());
  } finally {
    store.remove();
  }
}

/** Runs it, and checks that it fails with this one line and leaves the store as it was. */
function refuses(store: TempStore, args: readonly string[], input: Uint8Array | string, message: string): void {
  const before = [store.output("silo", ["--dump-db"]), inStore(store)];
  const { status, stdout, stderr } = store.run("silo", "nix-store", args, { input });
  assert.equal(stderr, `error: ${message}\n`);
  assert.deepEqual([status, stdout.length], [1, 0]);
  assert.deepEqual([store.output("silo", ["--dump-db"]), inStore(store)], before);
}

function inStore(store: TempStore): string {
  return readdirSync(store.storeDir).sort().join("\n");
}

describe("archives", () => {
  const cases: [name: string, input: Buffer | string, message: string][] = [
    ["nothing", "", "Cannot read on from standard input: it ends unexpectedly at byte 0"],
    [
      "text",
      "this is no archive, but it is long enough to be one, as one sees from its length alone, and no sooner",
      'Cannot read NAR: at byte 0: expected "nix-archive-1", found a tag of 2338328219631577204 bytes, at most 32 fit',
    ],
    ["cut", fileNar("text").subarray(0, 100), "Cannot read on from standard input: it ends unexpectedly at byte 100"],
    [
      "no such type",
      Buffer.concat([strings("nix-archive-1", "(", "type", "socket"), Buffer.alloc(64)]),
      'Cannot read NAR: at byte 56: node type: expected "regular", "directory" or "symlink", found "socket"',
    ],
    [
      "an enormous file",
      Buffer.concat([strings("nix-archive-1", "(", "type", "regular", "contents"), Buffer.alloc(8, 0xff)]),
      'Cannot read NAR: at byte 88: file "" claims to have 18446744073709551615 bytes',
    ],
    [
      "a name with a slash",
      directoryNar("../evil"),
      'Cannot read NAR: at byte 136: entry name "../evil": it has a slash',
    ],
    ["the parent", directoryNar(".."), 'Cannot read NAR: at byte 136: entry name "..": it is not a name'],
  ];
  for (const [name, input, message] of cases) {
    test(name, () => {
      withStore((store) => {
        const { status, stderr } = store.run("silo", "nix-store", ["--restore", "out"], { input });
        assert.deepEqual(
          [status, stderr.split(":").slice(0, 4).join(":")],
          [1, `error: ${message}\n`.split(":").slice(0, 4).join(":")],
        );
        assert.equal(stderr.split("\n").length, 2);
        assert.ok(!existsSync(join(store.dir, "out")) && !existsSync(join(store.dir, "evil")));
        const stream = Buffer.concat([u64(1), Buffer.from(input)]);
        const importing = store.run("silo", "nix-store", ["--import"], { input: stream });
        assert.equal(importing.status, 1);
        assert.match(importing.stderr, /^error: Cannot read [^\n]* byte \d+[^\n]*\n$/);
        assert.equal(store.output("silo", ["--dump-db"]).split("\n").length, 6);
      });
    });
  }

  function directoryNar(name: string): Buffer {
    const head = strings("nix-archive-1", "(", "type", "directory", "entry", "(", "name", name, "node");
    const body = Buffer.concat([strings("(", "type", "regular", "contents"), string("x"), strings(")", ")", ")")]);
    return Buffer.concat([head, body]);
  }

  test("a tree that is there is not overwritten, nor deleted", () => {
    withStore((store) => {
      const { status, stderr } = store.run("silo", "nix-store", ["--restore", "known"], { input: fileNar("other") });
      assert.deepEqual([status, stderr], [1, "error: opening file 'known': File exists\n"]);
      assert.ok(existsSync(join(store.dir, "known")));
    });
  });
});

describe("export streams", () => {
  const item = (path: string, references: string[], deriver = "") =>
    Buffer.concat([
      ...[u64(1), fileNar("contents"), u64(0x4558494e), string(path)],
      ...[u64(references.length), strings(...references), string(deriver), u64(0)],
    ]);

  test("each fault is told with its place", () => {
    withStore((store, known) => {
      const path = `${store.storeDir}/${"1".repeat(32)}-new`;
      const missing = `${store.storeDir}/${"2".repeat(32)}-missing`;
      const good = item(path, [known]);
      const cases: [input: Uint8Array, message: string][] = [
        [Buffer.alloc(0), "Cannot read on from standard input: it ends unexpectedly at byte 0"],
        [
          u64(2),
          "Cannot read export stream: expected 1 for an item or 0 for the end, found 2 (before byte 8 of standard input)",
        ],
        [
          good.subarray(0, good.length - 8),
          `Cannot read on from standard input: it ends unexpectedly at byte ${good.length - 8}`,
        ],
        [item(path, [missing]), `path '${missing}' is not valid`],
      ];
      for (const [input, message] of cases) refuses(store, ["--import"], input, message);
      const magic = Buffer.from(good);
      magic.writeUInt32LE(0, good.indexOf("NIXE"));
      const { stderr } = store.run("silo", "nix-store", ["--import"], { input: magic });
      assert.match(
        stderr,
        /^error: Cannot read export stream: expected the magic 0x4558494e after a NAR, found 0x0 \(before byte \d+ of standard input\)\n$/,
      );
      // What came before the fault is in; the stream without its end is an error all the same.
      const { status, stdout } = store.run("silo", "nix-store", ["--import"], { input: good });
      assert.deepEqual([status, stdout.length], [1, 0]);
      assert.equal(store.output("silo", ["--check-validity", path]), "");
      assert.equal(store.output("silo", ["-q", "--references", path]), `${known}\n`);
    });
  });

  test("paths elsewhere, and names that are none", () => {
    withStore((store) => {
      for (const bad of [
        "/etc/passwd",
        `${store.storeDir}/../x`,
        `${store.storeDir}/short`,
        `${store.storeDir}/${"1".repeat(32)}-a b`,
        "",
      ]) {
        const { status, stderr } = store.run("silo", "nix-store", ["--import"], { input: item(bad, []) });
        assert.equal(status, 1);
        assert.match(stderr, /^error: Cannot parse store path [^\n]* \(before byte \d+ of standard input\)\n$/);
      }
      assert.equal(
        inStore(store)
          .split("\n")
          .filter((name) => name !== ".links").length,
        1,
      );
    });
  });
});

test("registrations: the line is named, and nothing of the input is registered", () => {
  withStore((store) => {
    const path = `${store.storeDir}/${"1".repeat(32)}-object`;
    mkdirSync(path);
    const good = `${path}\n\n0\n`;
    const cases: [input: string, message: string][] = [
      ["abc\n", `line 1: Cannot parse store path "abc": is not in the Nix store '${store.storeDir}'`],
      [`${good}${path}\n`, "line 5: missing input: the text ends within a registration"],
      [`${good}${path}\n\nmany\n`, 'line 6: the number of references: number expected, found "many"'],
      [`${good}${path}\n\n99999999\n`, "line 6: the number of references is 99999999, at most 1000000 is allowed"],
      [`${good}${path}`, "line 4: missing input: the last line does not end in a newline"],
      [`${good}${"x".repeat(9000)}`, "line 4: longer than 8192 bytes"],
    ];
    for (const [input, message] of cases) {
      refuses(store, ["--register-validity"], input, `Cannot read validity registration: ${message}`);
    }
    refuses(store, ["--register-validity"], `${path}\n\n1\n${path}x\n`, `path '${path}x' is not valid`);
    refuses(store, ["--load-db"], "abc\n", `Cannot read validity registration: ${cases[0]![1]}`);
    const gone = `${store.storeDir}/${"2".repeat(32)}-gone`;
    refuses(store, ["--register-validity"], `${gone}\n\n0\n`, `getting status of '${gone}': No such file or directory`);
    store.output("silo", ["--register-validity"], { input: good });
    assert.equal(store.output("silo", ["-q", "--references", path]), "");
  });
});

test("keys that are none are named before anything is read or written", () => {
  withStore((store, path) => {
    const [secret, known] = ["signing-key.sec", "signing-key.pub"].map((name) => join(store.dir, "conf", name));
    for (const file of [secret!, known!]) writeFileSync(file, "junk\n", { mode: 0o600 });
    refuses(store, ["--export", "--sign", path], "", `Cannot use secret RSA key '${secret}': it is not in PEM format`);
    const reason = `Cannot use public RSA key '${known}': it is not in PEM format`;
    refuses(store, ["--import", "--require-signature"], "", reason);
  });
});

test("derivations and logs that are damaged", () => {
  withStore((store) => {
    const drv = `${store.storeDir}/${"1".repeat(32)}-broken.drv`;
    writeFileSync(drv, "Derive(nonsense");
    const { status, stderr } = store.run("silo", "nix-store", ["--register-validity"], { input: `${drv}\n\n0\n` });
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`^error: Cannot read derivation "${drv}": at byte 7: [^\n]*\n$`));
    assert.equal(store.run("silo", "nix-store", ["--check-validity", drv]).status, 1);

    const log = join(store.env["NIX_LOG_DIR"]!, "drvs/11");
    mkdirSync(log, { recursive: true });
    writeFileSync(join(log, `${"1".repeat(30)}-broken.drv.bz2`), "BZh9 and then something else");
    refuses(
      store,
      ["-l", drv],
      "",
      "Cannot decompress bzip2, before byte 14: expected a block or the end of the stream",
    );
  });
});

test("databases and configuration", () => {
  withStore((store) => {
    const conf = join(store.dir, "conf/nix.conf");
    writeFileSync(conf, "cores = many\n");
    const bad = store.run("silo", "nix-store", ["-q"]);
    assert.deepEqual(
      [bad.status, bad.stderr],
      [1, `error: Cannot set "cores" to "many" in "${conf}" line 1: expected an integer from 0 to 4294967295\n`],
    );
    writeFileSync(conf, "build-users-group =\nnonsense-setting = 1\n");
    const warned = store.run("silo", "nix-store", ["-q"]);
    assert.deepEqual(
      [warned.status, warned.stderr],
      [0, `warning: unknown setting "nonsense-setting" in "${conf}" line 2\n`],
    );
    assert.equal(store.run("silo", "nix-store", ["-q", "--quiet", "--quiet", "--quiet"]).stderr, "");
    writeFileSync(conf, "build-users-group =\n");

    const schema = join(store.stateDir, "db/schema");
    writeFileSync(schema, "11");
    const newer = store.run("silo", "nix-store", ["--init"]);
    assert.deepEqual(
      [newer.status, newer.stderr],
      [1, "error: current Nix store schema is version 11, but I only support 10\n"],
    );
    writeFileSync(schema, "10");
    writeFileSync(
      join(store.stateDir, "db/db.sqlite"),
      "this is not a database, although it is long enough".repeat(50),
    );
    const damaged = store.run("silo", "nix-store", ["-q", "--hash", `${store.storeDir}/${"1".repeat(32)}-x`]);
    assert.equal(damaged.status, 1);
    assert.match(damaged.stderr, /^error: Cannot use the database '[^']*db.sqlite': it is damaged [^\n]*\n$/);
  });
});

test("verify tells of what is missing and what was changed", () => {
  withStore((store, known) => {
    writeFileSync(join(store.dir, "lost"), "lost contents");
    const lost = store.output("silo", ["--add", "lost"]).trim();
    assert.equal(store.run("silo", "nix-store", ["--verify", "--check-contents"]).status, 0);
    chmodSync(known, 0o644);
    writeFileSync(known, "other contents");
    const verified = store.run("silo", "nix-store", ["--verify-path", known, lost]);
    assert.equal(verified.status, 1);
    assert.match(
      verified.stderr,
      new RegExp(`^path '${known}' was modified! expected hash 'sha256:[^']*', got 'sha256:[^']*'\n$`),
    );
    store.run("silo", "nix-store", ["--restore", "moved"], { input: "" });
    const { status, stderr, stdout } = store.run("silo", "nix-store", ["--verify", "--check-contents", "--repair"]);
    assert.deepEqual([status, stdout.length], [1, 0]);
    assert.ok(stderr.includes(`path '${known}' was modified!`), stderr);
    assert.ok(stderr.includes(`error: cannot repair path '${known}'\n`), stderr);
    assert.ok(stderr.endsWith("warning: not all store errors were fixed\n"), stderr);
  });
});
