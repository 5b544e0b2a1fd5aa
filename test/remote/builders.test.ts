import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { machineSlots, oldSlotPrefix, slotPrefix } from "../../src/remote/builders/slots.ts";
import { uploadInputs } from "../../src/remote/builders/uploads.ts";
import type { PathUpload, RemoteStore } from "../../src/remote/remote-store.ts";
import { addText } from "../../src/store/add.ts";
import type { StorePath } from "../../src/formats/store-path.ts";
import { withStoreFixture } from "../support/store-fixture.ts";

test("slots are lock files that everybody sees", () => {
  const dir = mkdtempSync(join(tmpdir(), "silo-slots-"));
  try {
    const load = join(dir, "current-load");
    const prefix = slotPrefix("ssh://host");
    assert.equal(prefix, "ssh:__host"); // Nix's name for it
    const mine = machineSlots(load, prefix, 2);
    const others = machineSlots(load, prefix, 2);
    const first = mine.tryTake()!;
    const second = others.tryTake()!;
    assert.deepEqual([mine.load(), others.load()], [2, 2]);
    assert.equal(mine.tryTake(), undefined);
    first();
    first(); // no harm
    assert.equal(others.load(), 1);
    const third = others.tryTake();
    assert.ok(third);
    second();
    third();
    assert.equal(mine.load(), 0);
    assert.deepEqual(readdirSync(load).sort(), ["ssh:__host-0", "ssh:__host-1"]);
    assert.equal(statSync(load).mode & 0o777, 0o777);
    assert.equal(oldSlotPrefix(["a", "b"], "root@host"), "a+b-root@host");
  } finally {
    rmSync(dir, { recursive: true });
  }
  assert.equal(existsSync(dir), false);
});

/** A machine that gets paths when it is told to. */
function pretendedMachine() {
  const sent: string[] = [];
  const waiting: (() => void)[] = [];
  const remote: Pick<RemoteStore, "upload"> = {
    async upload(paths: readonly PathUpload[], onPath) {
      for (const { info } of paths) {
        sent.push(info.path.slice(33));
        await new Promise<void>((resolve) => waiting.push(resolve));
        onPath(info);
      }
    },
  };
  return { remote: remote as RemoteStore, sent, deliver: () => waiting.splice(0).forEach((resolve) => void resolve()) };
}

const soon = () => new Promise((resolve) => setImmediate(resolve));

test("what another build is sending is waited for, and only that", () =>
  withStoreFixture(async (fixture) => {
    const store = fixture.open();
    const text = (name: string, ...references: StorePath[]) => addText(store, name, Buffer.from(name), references);
    const shared = text("shared");
    const above = text("above", shared);
    const top = text("top", above);
    const [large, own] = [text("large"), text("own")];
    const pending = new Map<StorePath, Promise<void>>();
    const [first, second] = [pretendedMachine(), pretendedMachine()];
    const one = uploadInputs(store, first.remote, pending, [large, shared]);
    const two = uploadInputs(store, second.remote, pending, [own, above, top, shared]);
    let isSecondDone = false;
    void two.then(() => {
      isSecondDone = true;
    });
    await soon();
    assert.deepEqual([first.sent.length, second.sent], [1, ["own"]], "what refers to what is on its way waits for it");
    second.deliver();
    await soon();
    assert.deepEqual(second.sent, ["own"]);
    for (let i = 0; i < 3; i++) {
      first.deliver();
      await soon();
    }
    await one;
    assert.deepEqual(first.sent.sort(), ["large", "shared"]);
    for (let i = 0; i < 4; i++) {
      second.deliver();
      await soon();
    }
    await two;
    assert.deepEqual(second.sent, ["own", "above", "top"]);
    assert.equal(isSecondDone, true);
    assert.equal(pending.size, 0);
  }));

test("a sender that fails fails those who wait for it, and leaves nothing behind", () =>
  withStoreFixture(async (fixture) => {
    const store = fixture.open();
    const shared = addText(store, "shared", Buffer.from("x"), []);
    const pending = new Map<StorePath, Promise<void>>();
    const { promise, reject } = Promise.withResolvers<void>();
    const failing = { upload: () => promise } as Partial<RemoteStore> as RemoteStore;
    const one = uploadInputs(store, failing, pending, [shared]);
    const two = uploadInputs(store, pretendedMachine().remote, pending, [shared]);
    reject(new Error("cut"));
    await assert.rejects(one, /cut/);
    await assert.rejects(two, /cut/);
    assert.equal(pending.size, 0);
  }));
