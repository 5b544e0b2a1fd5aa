import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fromText } from "../../src/formats/byte-string.ts";
import { encodeNar } from "../../src/formats/nar/tree.ts";
import { WireWriter } from "../../src/formats/wire.ts";
import { operations } from "../../src/formats/worker-protocol/operations.ts";
import { newestMinor, oldestMinor } from "../../src/formats/worker-protocol/version.ts";
import type { Settings } from "../../src/formats/settings/settings.ts";
import { addText } from "../../src/store/add.ts";
import type { LocalStore } from "../../src/store/local-store.ts";
import { printStorePath, type StorePath } from "../../src/formats/store-path.ts";
import { converse, framed, greeting, request, serveBytes } from "../support/daemon-conversation.ts";
import { type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";

const hello = Buffer.from("hello\n");
const helloNar = encodeNar({ kind: "regular", contents: hello });
const recursive = { kind: "fixed", method: "recursive", hashAlgo: "sha256" } as const;
const missing = "00000000000000000000000000000000-missing" as StorePath;

function filled(fixture: StoreFixture): { a: StorePath; b: StorePath } {
  const store = fixture.open();
  const a = addText(store, "a", Buffer.from("a"), []);
  const b = addText(store, "b", Buffer.from("b"), [a]);
  store.close();
  return { a, b };
}

describe("queries", () => {
  test("are answered alike in every version of the protocol", () =>
    withStoreFixture(async (fixture) => {
      const { a, b } = filled(fixture);
      for (let minor = oldestMinor; minor <= newestMinor + 1; minor++) {
        const { answers, rest, log } = await converse(fixture, { minor }, (context) => [
          request(operations.isValidPath, { path: a }, context),
          request(operations.isValidPath, { path: missing }, context),
          request(operations.queryReferences, { path: b }, context),
          request(operations.queryReferrers, { path: a }, context),
          request(operations.queryAllValidPaths, undefined, context),
          request(operations.queryPathInfo, { path: b }, context),
          request(operations.queryPathInfo, { path: missing }, context),
          request(operations.queryValidPaths, { paths: [a, missing], substitute: false }, context),
          request(operations.queryPathFromHashPart, { hashPart: fromText(a.slice(0, 32)) }, context),
        ]);
        const values = answers.map((answer) => (answer.kind === "reply" ? answer.value : answer.kind));
        const [isValid, isMissing, references, referrers, all, info, none, valid, byHash] = values;
        assert.deepEqual([isValid, isMissing, references, referrers, byHash], [true, false, [a], [b], a], `1.${minor}`);
        assert.deepEqual(all, [a, b].sort());
        assert.deepEqual(valid, [a]);
        assert.deepEqual((info as { references: unknown }).references, [a]);
        assert.equal(none, minor < 17 ? "error" : undefined);
        assert.equal(rest.length, 0);
        assert.equal(log.length, minor < 17 ? 1 : 0);
      }
    }));

  test("infos of a walk are those of the database, also after another process has written", () =>
    withStoreFixture(async (fixture) => {
      const { a, b } = filled(fixture);
      const { answers } = await converse(fixture, {}, (context) => [
        request(operations.queryPathInfo, { path: b }, context),
        request(operations.queryPathInfo, { path: a }, context),
        request(operations.addSignatures, { path: a, signatures: [fromText("k:c2ln")] }, context),
        request(operations.queryPathInfo, { path: a }, context),
      ]);
      const signatures = answers.map((answer) =>
        answer.kind === "reply" ? (answer.value as { signatures?: unknown })?.signatures : answer,
      );
      assert.deepEqual(signatures, [[], [], undefined, ["k:c2ln"]]);
    }));
});

describe("adding", () => {
  test("gives the same path in the old form and in the new", () =>
    withStoreFixture(async (fixture) => {
      const add = { name: fromText("hello"), method: recursive, references: [], repair: false };
      const paths: unknown[] = [];
      for (const minor of [10, 24, 25, newestMinor]) {
        const data = minor < 25 ? helloNar : framed(helloNar);
        const { answers } = await converse(fixture, { minor }, (context) => [
          request(operations.addToStore, add, context, data),
          request(operations.queryAllValidPaths, undefined, context),
        ]);
        const [added, all] = answers;
        assert(added?.kind === "reply" && all?.kind === "reply");
        paths.push((added.value as { path: unknown }).path);
        assert.deepEqual(all.value, paths.slice(0, 1));
      }
      assert.equal(new Set(paths).size, 1);
    }));

  test("takes the bytes of a flat file, and of one that does not fit in memory", () =>
    withStoreFixture(async (fixture) => {
      const large = Buffer.alloc(9 * 1024 * 1024, "large");
      for (const contents of [hello, large, Buffer.alloc(0)]) {
        const source = `${fixture.dir}/file`;
        writeFileSync(source, contents);
        const expected = String(fixture.silo(["add-flat", "sha1", source])).split("\n")[0];
        const method = { kind: "fixed", method: "flat", hashAlgo: "sha1" } as const;
        const add = { name: fromText("file"), method, references: [], repair: false };
        const { answers } = await converse(fixture, {}, (context) => [
          request(operations.addToStore, add, context, framed(contents)),
        ]);
        const [added] = answers;
        assert(added?.kind === "reply");
        const { path } = added.value as { path: StorePath };
        assert.equal(printStorePath(fixture.directories.storeDir, path), expected);
      }
    }));

  test("that fails leaves the conversation in step and the store as it was", () =>
    withStoreFixture(async (fixture) => {
      const nar = framed(Buffer.from("this is no archive, and longer than what is read of it before that is clear"));
      const { answers, rest } = await converse(fixture, {}, (context) => [
        request(
          operations.addToStore,
          { name: fromText("x"), method: recursive, references: [], repair: false },
          context,
          nar,
        ),
        request(
          operations.addToStore,
          { name: fromText("x"), method: recursive, references: [missing], repair: false },
          context,
          framed(helloNar),
        ),
        request(
          operations.addToStore,
          { name: fromText("no/name"), method: recursive, references: [], repair: false },
          context,
          framed(helloNar),
        ),
        request(operations.queryAllValidPaths, undefined, context),
      ]);
      assert.deepEqual(
        answers.map(({ kind }) => kind),
        ["error", "error", "error", "reply"],
      );
      const [, , , all] = answers;
      assert(all?.kind === "reply");
      assert.deepEqual(all.value, []);
      assert.equal(rest.length, 0);
    }));

  test("what nobody vouches for is taken from trusted clients only", () =>
    withStoreFixture(async (fixture) => {
      const { a } = filled(fixture);
      const store = fixture.open();
      const row = fixture.rows("select hash, narSize from ValidPaths limit 1")[0]!;
      store.close();
      const nar = encodeNar({ kind: "regular", contents: Buffer.from("a") });
      const forged = "11111111111111111111111111111111-forged" as StorePath;
      const info = {
        deriver: undefined,
        narHash: { algo: "sha256", bytes: Uint8Array.from(Buffer.from(String(row[0]).slice(7), "hex")) } as const,
        narSize: Number(row[1]),
        references: [],
        registrationTimeSec: 1,
        ultimate: true,
        signatures: [],
        contentAddress: undefined,
      };
      const add = { path: forged, info, repair: false, skipSignatures: true };
      const asUntrusted = await converse(fixture, { trust: "untrusted", uid: 1000 }, (context) => [
        request(operations.addToStoreNar, add, context, framed(nar)),
        request(operations.isValidPath, { path: forged }, context),
      ]);
      const [refused, isThere] = asUntrusted.answers;
      assert(refused?.kind === "error" && isThere?.kind === "reply");
      assert.match(refused.message, /lacks a valid signature/);
      assert.equal(isThere.value, false);
      const asTrusted = await converse(fixture, {}, (context) => [
        request(operations.addToStoreNar, add, context, framed(nar)),
        request(operations.isValidPath, { path: forged }, context),
        request(operations.addToStoreNar, { ...add, path: a }, context, framed(nar)),
      ]);
      assert.deepEqual(
        asTrusted.answers.map((answer) => (answer.kind === "reply" ? answer.value : answer)),
        [undefined, true, undefined],
      );
    }));
});

describe("requests that are none", () => {
  const errorOf = (output: Uint8Array) => Buffer.from(output).toString("latin1");

  test("end the conversation with an error that says why", () =>
    withStoreFixture(async (fixture) => {
      const say = async (bytes: Uint8Array) => {
        const { output, unread } = await serveBytes(fixture, Buffer.concat([greeting(34), bytes, bytes]));
        return { text: errorOf(output), unread };
      };
      const unknown = await say(new WireWriter().u64(99).take());
      assert.match(unknown.text, /invalid operation 99/);
      assert.equal(unknown.unread, 8, "nothing is read after that");
      assert.match((await say(new WireWriter().u64(1).string("/etc/passwd").take())).text, /is not in the Nix store/);
      assert.match(
        (
          await say(
            new WireWriter()
              .u64(1)
              .u64(2n ** 60n)
              .take(),
          )
        ).text,
        /at most/,
      );
    }));

  test("a stranger's greeting is answered by nothing", () =>
    withStoreFixture(async (fixture) => {
      await assert.rejects(serveBytes(fixture, Buffer.from("GET / HTTP/1.1\r\n\r\n")), /does not speak/);
      await assert.rejects(serveBytes(fixture, greeting(9)), /it has version 1.9/);
    }));
});

describe("untrusted clients", () => {
  test("are refused what only trusted ones may", () =>
    withStoreFixture(async (fixture) => {
      const { a } = filled(fixture);
      const drvPath = "00000000000000000000000000000000-x.drv" as StorePath;
      const derivation = {
        name: "x",
        outputs: new Map([["out", { kind: "input-addressed" as const, path: a }]]),
        inputSrcs: new Set<StorePath>(),
        system: fromText("x86_64-linux"),
        builder: fromText("/bin/sh"),
        args: [],
        env: new Map(),
      };
      const { answers } = await converse(fixture, { trust: "untrusted", uid: 1000, minor: newestMinor }, (context) => [
        request(operations.verifyStore, { checkContents: false, repair: true }, context),
        request(operations.buildPaths, { targets: [{ kind: "opaque", path: a }], mode: "repair" }, context),
        request(operations.buildPathsWithResults, { targets: [{ kind: "opaque", path: a }], mode: "repair" }, context),
        request(operations.buildDerivation, { derivation: { drvPath, derivation }, mode: "normal" }, context),
        request(operations.addSignatures, { path: a, signatures: [fromText("k:c2ln")] }, context),
        request(operations.addBuildLog, { drv: fromText(drvPath) }, context, framed(hello)),
        request(operations.addPermRoot, { path: a, root: fromText("/tmp/x") }, context),
        request(operations.addIndirectRoot, { link: fromText("/root/secret") }, context),
        request(operations.addIndirectRoot, { link: fromText("/etc/hostname") }, context),
        request(
          operations.collectGarbage,
          {
            action: "delete-specific",
            toDelete: { paths: [a], referrers: "keep" },
            ignoreLiveness: true,
            maxFreed: undefined,
          },
          context,
        ),
        request(
          operations.addToStore,
          { name: fromText("x"), method: recursive, references: [], repair: true },
          context,
          framed(helloNar),
        ),
        request(operations.isValidPath, { path: a }, context),
      ]);
      const texts = answers.map((answer) => (answer.kind === "error" ? answer.message : answer.kind));
      const expected = [
        "not privileged to repair",
        "repairing is not allowed",
        "repairing is not allowed",
        "not privileged to build input-addressed",
        "not privileged to add signatures",
        "not privileged to add logs",
        "not privileged to create perm roots",
        "not a symbolic link of yours",
        "not a symbolic link of yours",
        "not allowed to ignore liveness",
        "repairing is not allowed",
        "reply",
      ];
      assert.deepEqual(
        texts.map((text, i) => text.includes(expected[i]!) || text),
        expected.map(() => true),
      );
    }));

  test("set what anybody may, and nothing else", () =>
    withStoreFixture(async (fixture) => {
      const options = {
        keepFailed: true,
        keepGoing: true,
        tryFallback: false,
        verbosity: 6,
        maxBuildJobs: 3,
        maxSilentTimeSec: 7,
        useBuildHook: true,
        buildVerbosity: 0,
        logType: 0,
        printBuildTrace: 0,
        buildCores: 2,
        useSubstitutes: false,
        overrides: (
          [
            ["sandbox", "false"],
            ["timeout", "5"],
            ["build-hook", "/tmp/evil"],
            ["builders", "ssh://evil"],
            ["substituters", "http://evil https://cache.nixos.org"],
            ["trusted-users", "*"],
            ["nonsense", "x"],
          ] as const
        ).map(([name, value]) => [fromText(name), fromText(value)] as const),
      };
      const apply = async (trust: "trusted" | "untrusted") => {
        const found: Settings[] = [];
        const findRoots = (store: LocalStore) => () => {
          found.push(store.settings);
          return [];
        };
        const collect = (store: LocalStore) => ({ findRoots: findRoots(store), collect: notUsed });
        const services = (store: LocalStore) => ({ collect: collect(store) });
        const { answers } = await converse(fixture, { trust, services }, (context) => [
          request(operations.setOptions, options, context),
          request(operations.findRoots, undefined, context),
        ]);
        assert.deepEqual(
          answers.map(({ kind }) => kind),
          ["reply", "reply"],
        );
        const settings = found[0]!;
        return {
          fixed: [
            settings.get("keep-failed"),
            settings.get("max-jobs"),
            settings.get("max-silent-time"),
            settings.get("cores"),
          ],
          timeout: settings.get("timeout"),
          sandbox: settings.get("sandbox"),
          hook: settings.get("build-hook"),
          builders: settings.get("builders"),
          substituters: settings.get("substituters"),
          trustedUsers: settings.get("trusted-users"),
        };
      };
      const shared = { fixed: [true, 3, 7, 2], timeout: 5 };
      assert.deepEqual(await apply("untrusted"), {
        ...shared,
        sandbox: true,
        hook: [],
        builders: "@/etc/nix/machines",
        substituters: ["https://cache.nixos.org/"],
        trustedUsers: ["root"],
      });
      assert.deepEqual(await apply("trusted"), {
        ...shared,
        sandbox: false,
        hook: ["/tmp/evil"],
        builders: "ssh://evil",
        substituters: ["http://evil", "https://cache.nixos.org"],
        trustedUsers: ["*"],
      });
    }));
});

const notUsed = (): never => {
  throw new Error("not used");
};
