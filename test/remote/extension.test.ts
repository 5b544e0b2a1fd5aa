import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { SiloError } from "../../src/error.ts";
import { bytesReader } from "../../src/formats/bytes-reader.ts";
import { runSync } from "../../src/formats/codec.ts";
import { readNumber } from "../../src/formats/wire.ts";
import { nameOf } from "../../src/formats/store-path.ts";
import { describeTree, linkNames, toTheEnd } from "../../src/remote/delta/describe-tree.ts";
import {
  encodeReply,
  encodeRequest,
  type ExtensionRequest,
  extensionCode,
  extensionMarker,
  readReply,
  readRequest,
} from "../../src/remote/delta/extension.ts";
import { fileContents } from "../../src/remote/delta/file-contents.ts";
import { knownFiles } from "../../src/remote/delta/known-files.ts";
import { lackingSize, rebuildTree, SourceGone } from "../../src/remote/delta/rebuild-tree.ts";
import { bitmap, hasBit, treeFiles } from "../../src/remote/delta/tree-files.ts";
import { addPath, recursiveSha256 } from "../../src/store/add.ts";
import { optimiseStore } from "../../src/store/optimise.ts";
import { requirePathInfo } from "../../src/store/queries.ts";
import { narHasher } from "../../src/store/tree/nar-hash.ts";
import { withStoreFixture } from "../support/store-fixture.ts";

function roundTrip(request: ExtensionRequest): ExtensionRequest {
  const reader = bytesReader(encodeRequest(request), "request");
  assert.equal(runSync(readNumber("code"), reader), extensionCode);
  const read = runSync(readRequest(), reader);
  assert.equal(reader.left(), 0);
  return read;
}

const tree = {
  kinds: Uint8Array.of(0, 2, 4, 0, 3, 1, 1),
  names: ["", "a\xff", "link", "sub", "x"],
  targets: ["t\xe9"],
  sizes: [5 * 2 ** 30, 0],
  hashes: new Uint8Array(64).fill(7),
};

test("messages read as they were written, sizes beyond 32 bits and names that are no text included", () => {
  const info = {
    path: "p",
    narHash: "sha256:00",
    narSize: 2 ** 40,
    references: ["a", "b"],
    deriver: "",
    registrationTimeSec: 2_000_000_000,
    signatures: ["k:x"],
    contentAddress: "",
  };
  const offer: ExtensionRequest = { kind: "offer", info, tree };
  const read = roundTrip(offer);
  assert.deepEqual(JSON.parse(JSON.stringify(read)), JSON.parse(JSON.stringify(offer)));
  assert.deepEqual(roundTrip({ kind: "similar", paths: ["a"] }), { kind: "similar", paths: ["a"] });
  const reply = runSync(readReply("placed"), bytesReader(encodeReply({ kind: "placed", result: "refused" }), "reply"));
  assert.deepEqual(reply, { kind: "placed", result: "refused" });
});

test("the marker is a store path that nobody has", () => {
  assert.equal(nameOf(extensionMarker), "silo-serve-extension-1");
});

test("damaged messages are errors of ours", () => {
  const bytes = Buffer.from(encodeReply({ kind: "tree", tree }));
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 0, max: 255 }), (at, byte) => {
      const damaged = Buffer.from(bytes);
      damaged[at % damaged.length] = byte;
      try {
        runSync(readReply("tree"), bytesReader(damaged, "reply"));
      } catch (error) {
        assert.ok(error instanceof SiloError, String(error));
      }
    }),
  );
  const broken = [
    { ...tree, kinds: Uint8Array.of(0, 2, 4, 0, 3, 1) }, // a directory without end
    { ...tree, kinds: Uint8Array.of(2, 2, 4) }, // several roots
    { ...tree, names: ["", "a"] },
    { ...tree, hashes: new Uint8Array(63) },
    { ...tree, sizes: [-1, 0] },
  ];
  for (const each of broken) {
    assert.throws(
      () => runSync(readReply("tree"), bytesReader(encodeReply({ kind: "tree", tree: each }), "reply")),
      SiloError,
    );
  }
});

test("bits of files", () => {
  const bits = bitmap(19, (i) => i % 3 === 0);
  assert.deepEqual(
    Array.from({ length: 30 }, (_, i) => hasBit(bits, i)),
    Array.from({ length: 30 }, (_, i) => i < 19 && i % 3 === 0),
  );
});

for (const optimised of ["optimised", "not optimised"] as const) {
  test(`a path is rebuilt from another that is like it, ${optimised}`, () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const source = join(fixture.dir, "pkg");
      mkdirSync(join(source, "bin"), { recursive: true });
      for (let i = 0; i < 30; i++) writeFileSync(join(source, `file-${i}`), `contents ${i} `.repeat(1000));
      writeFileSync(join(source, "bin", "tool"), "#!/bin/sh\n", { mode: 0o755 });
      writeFileSync(join(source, "empty"), "");
      symlinkSync("bin/tool", join(source, "link"));
      const add = (name: string) => addPath(store, source, { name, method: recursiveSha256 });
      add("pkg-1.0");
      writeFileSync(join(source, "file-7"), "changed".repeat(1000));
      writeFileSync(join(source, "moved"), readFileSync(join(source, "file-3")));
      rmSync(join(source, "file-3"));
      if (optimised === "optimised") optimiseStore(store, () => {});
      // As the sender has it; then it is described, and rebuilt as if the receiver did not have it.
      const path = add("pkg-1.1");
      const columns = toTheEnd(describeTree(store, path, linkNames(store)));
      const known = knownFiles(store);
      assert.equal(known.hasSimilar(path), true);
      const sources = known.find(path, columns);
      const missing = [...treeFiles(columns)]
        .filter(({ index }) => sources[index] === undefined)
        .map(({ below }) => below);
      assert.deepEqual(missing, ["/file-7"]);

      const wanted = bitmap(sources.length, (i) => sources[i] === undefined);
      const sent = Buffer.concat([...fileContents(store, path, columns, wanted)]);
      assert.equal(sent.length, lackingSize(columns, sources));
      const hasher = narHasher("sha256");
      const reader = bytesReader(Buffer.concat([sent, Buffer.from("next")]), "contents");
      assert.equal(runSync(rebuildTree(columns, sources, hasher.visitor), reader), undefined);
      assert.equal(reader.left(), 4, "not a byte too many is read");
      assert.deepEqual(hasher.finish().hash, requirePathInfo(store, path).narHash);
    }));
}

test("what has gone meanwhile is told after all has been read", () =>
  withStoreFixture((fixture) => {
    const store = fixture.open();
    const source = join(fixture.dir, "pkg");
    mkdirSync(source);
    for (const name of ["a", "b", "c"]) writeFileSync(join(source, name), name.repeat(5000));
    const path = addPath(store, source, { name: "pkg", method: recursiveSha256 });
    const columns = toTheEnd(describeTree(store, path, linkNames(store)));
    const reader = bytesReader(Buffer.concat([Buffer.alloc(10_000), Buffer.from("next")]), "contents");
    const failure = runSync(
      rebuildTree(columns, [undefined, "/no/such/file", undefined], narHasher("sha256").visitor),
      reader,
    );
    assert.ok(failure instanceof SourceGone);
    assert.equal(reader.left(), 4);
  }));
