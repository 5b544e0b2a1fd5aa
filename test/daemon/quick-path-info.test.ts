import assert from "node:assert/strict";
import { test } from "node:test";
import { quickPathInfo } from "../../src/daemon/server/quick-path-info.ts";
import { fromText } from "../../src/formats/byte-string.ts";
import { printStorePath, type StorePath } from "../../src/formats/store-path.ts";
import { WireWriter } from "../../src/formats/wire.ts";
import { operations } from "../../src/formats/worker-protocol/operations.ts";
import { addText } from "../../src/store/add.ts";
import { pathInfoPrefetch } from "../../src/store/path-info-prefetch.ts";
import { requirePathInfo } from "../../src/store/queries.ts";
import { registerValidPaths } from "../../src/store/register.ts";
import type { LocalStore } from "../../src/store/local-store.ts";
import { contextOf } from "../support/daemon-conversation.ts";
import { fakeInfo, fakePath } from "../support/fake-paths.ts";
import { withStoreFixture } from "../support/store-fixture.ts";

/** Paths with all that an info may have. */
function paths(store: LocalStore): StorePath[] {
  const plain = fakePath("plain");
  const full = fakePath("full");
  const self = fakePath("self");
  const many = Array.from({ length: 900 }, (_, i) => fakePath(`reference-${i}`));
  registerValidPaths(store, [
    fakeInfo(plain),
    fakeInfo(self, [self, plain], { deriver: fakePath("x.drv"), ultimate: true, narSize: undefined }),
    fakeInfo(full, [plain], { signatures: ["a:c2ln"] }),
    fakeInfo(fakePath("two-signatures"), [], { signatures: ["b:c2ln", "a:c2ln"] }),
    ...many.map((path) => fakeInfo(path)),
    fakeInfo(fakePath("many"), many),
  ]);
  return [
    plain,
    full,
    self,
    fakePath("two-signatures"),
    fakePath("many"),
    addText(store, "text", Buffer.from("t"), []),
  ];
}

test("the short way says what the long way says, or nothing", () =>
  withStoreFixture((fixture) => {
    const store = fixture.open();
    const known = paths(store);
    for (const minor of [10, 16, 17, 34, 38]) {
      const context = contextOf(fixture, minor);
      const infos = pathInfoPrefetch(store);
      for (const path of [...known, fakePath("missing")]) {
        infos.query(path);
        const request = new WireWriter().u64(operations.queryPathInfo.code);
        operations.queryPathInfo.request.write(request, { path }, context);
        const input = Buffer.concat([request.take(), Buffer.from("next")]);
        const sent: Buffer[] = [];
        let taken = 0;
        const take = (n: number) => {
          taken += n;
          return input.subarray(0, n);
        };
        const peeking = { peek: () => input, take };
        const answered = quickPathInfo(context, peeking, infos, (bytes) => void sent.push(Buffer.from(bytes)))();
        const isShort = minor >= 17 && !["two-signatures", "many", "missing"].includes(path.slice(33));
        assert.equal(answered, isShort, `${path} in 1.${minor}`);
        if (!answered) {
          assert.deepEqual([sent, taken], [[], 0]);
          continue;
        }
        const reply = new WireWriter().u64(0x616c7473);
        const { path: _, ...info } = requirePathInfo(store, path);
        operations.queryPathInfo.reply.write(reply, info, context);
        assert.deepEqual(sent, [Buffer.from(reply.take())]);
        assert.equal(taken, input.length - "next".length);
      }
    }
  }));

test("what is cut off, padded with something, or another request is left alone", () =>
  withStoreFixture((fixture) => {
    const store = fixture.open();
    const path = addText(store, "text", Buffer.from("t"), []);
    const infos = pathInfoPrefetch(store);
    infos.query(path);
    const text = fromText(printStorePath(store.storeDir, path));
    const good = Buffer.from(new WireWriter().u64(26).string(text).take());
    const isAnswered = (bytes: Buffer) => {
      const peeking = { peek: () => bytes, take: () => bytes };
      return quickPathInfo(contextOf(fixture, 34), peeking, infos, () => {})();
    };
    assert.equal(isAnswered(good), true);
    for (let length = 0; length < good.length; length++) assert.equal(isAnswered(good.subarray(0, length)), false);
    for (const at of [0, 7, 8, 12, 15, 20, good.length - 1]) {
      if (at === good.length - 1 && text.length % 8 === 0) continue;
      const bad = Buffer.from(good);
      bad[at]! ^= 1;
      assert.equal(isAnswered(bad), false, `byte ${at}`);
    }
  }));
