/** Registering: what is written, what is refused, and that a refusal writes nothing. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { ByteString } from "../../src/formats/byte-string.ts";
import { hashBytes } from "../../src/formats/hash.ts";
import { BadDerivation, IncorrectOutput } from "../../src/formats/derivation/derivation.ts";
import { makeFixedOutputPath, makeTextPath } from "../../src/formats/make-store-path.ts";
import { addText } from "../../src/store/add.ts";
import { realPath } from "../../src/store/local-store.ts";
import { InvalidPath } from "../../src/store/path-info.ts";
import { queryAllValidPaths, queryDerivationOutputs, queryPathInfo, requirePathInfo } from "../../src/store/queries.ts";
import { invalidatePath, NotContentAddressed, PathInUse, registerValidPaths } from "../../src/store/register.ts";
import { CyclicReferences } from "../../src/store/topological-order.ts";
import { fakeInfo, fakePath } from "../support/fake-paths.ts";
import { minimalDerivation } from "../support/minimal-derivation.ts";
import { type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";

const [a, b, c, d] = ["a", "b", "c", "d"].map(fakePath) as [never, never, never, never];

describe("rows", () => {
  test("are those of Nix", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      registerValidPaths(store, [
        fakeInfo(b, [a, b], { deriver: c, ultimate: true, signatures: ["k:1", "k:2"], registrationTimeSec: 42 }),
        fakeInfo(a, [], { narSize: undefined }),
      ]);
      const hash = (path: string) =>
        `sha256:${hashBytes("sha256", path).bytes.reduce((t, x) => t + x.toString(16).padStart(2, "0"), "")}`;
      assert.deepEqual(fixture.rows("select * from ValidPaths"), [
        [1, `${fixture.storeDir}/${b}`, hash(b), 42, `${fixture.storeDir}/${c}`, 120, 1, "k:1 k:2", null],
        [2, `${fixture.storeDir}/${a}`, hash(a), 1_400_000_000, null, null, null, null, null],
      ]);
      assert.deepEqual(fixture.rows("select * from Refs order by 1, 2"), [
        [1, 1],
        [1, 2],
      ]);
    });
  });

  test("of a valid path are updated: hash, size, signatures; its time and deriver stay", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      registerValidPaths(store, [fakeInfo(a), fakeInfo(b, [a], { deriver: c, registrationTimeSec: 7 })]);
      const changed = fakeInfo(b, [a, b], {
        narHash: hashBytes("sha256", "other"),
        narSize: 240,
        ultimate: true,
        signatures: ["k:1"],
        deriver: d,
        registrationTimeSec: 8,
      });
      registerValidPaths(store, [changed]);
      assert.deepEqual(requirePathInfo(store, b), { ...changed, deriver: c, registrationTimeSec: 7 });
    });
  });

  test("of 5,000 paths are one transaction", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const paths = Array.from({ length: 5000 }, (_, i) => fakePath(`p${i}`));
      const infos = paths.map((path, i) => fakeInfo(path, i === 0 ? [] : [paths[i - 1]!, path]));
      assert.throws(() => registerValidPaths(store, [...infos, fakeInfo(a, [b])]), InvalidPath);
      assert.deepEqual(queryAllValidPaths(store), []);
      registerValidPaths(store, infos.reverse());
      assert.equal(queryAllValidPaths(store).length, 5000);
    });
  });
});

describe("references", () => {
  const refused = (
    fixture: StoreFixture,
    infos: Parameters<typeof registerValidPaths>[1],
    is: (error: unknown) => boolean,
  ) => {
    const store = fixture.open();
    const before = fixture.rows("select * from ValidPaths, Refs");
    assert.throws(() => registerValidPaths(store, infos), is);
    assert.deepEqual(fixture.rows("select * from ValidPaths, Refs"), before);
  };

  test("that are not valid are refused", () => {
    withStoreFixture((fixture) => {
      refused(
        fixture,
        [fakeInfo(a), fakeInfo(b, [a, c])],
        (error) => error instanceof InvalidPath && error.path === `${fixture.storeDir}/${c}`,
      );
    });
  });

  test("in a cycle are refused, with the cycle in the message", () => {
    withStoreFixture((fixture) => {
      refused(
        fixture,
        [fakeInfo(a, [b]), fakeInfo(b, [c]), fakeInfo(c, [a, c])],
        (error) => error instanceof CyclicReferences && error.cycle.length === 4 && error.cycle[0] === error.cycle[3],
      );
    });
  });

  test("that close a cycle through paths that were valid are refused", () => {
    withStoreFixture((fixture) => {
      registerValidPaths(fixture.open(), [fakeInfo(a), fakeInfo(b, [a]), fakeInfo(c, [b])]);
      refused(fixture, [fakeInfo(a, [c])], (error) => error instanceof CyclicReferences);
      registerValidPaths(fixture.open(), [fakeInfo(c, [a, b, c])]);
    });
  });
});

describe("content addresses", () => {
  test("from which the path does not follow are refused", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const hash = hashBytes("sha256", "x");
      const contentAddress = { kind: "text", hash } as const;
      assert.throws(() => registerValidPaths(store, [fakeInfo(a, [], { contentAddress })]), NotContentAddressed);
      const right = makeTextPath(store.storeDir, "x", hash, []);
      assert.throws(
        () => registerValidPaths(store, [fakeInfo(a), fakeInfo(right, [a], { contentAddress })]),
        NotContentAddressed,
      );
      registerValidPaths(store, [fakeInfo(right, [], { contentAddress })]);
      const self = makeFixedOutputPath(store.storeDir, "y", "recursive", hash, { others: [right], self: "self" });
      const fixed = { kind: "fixed", method: "recursive", hash } as const;
      registerValidPaths(store, [fakeInfo(self, [right, self], { contentAddress: fixed })]);
      assert.deepEqual(requirePathInfo(store, self).contentAddress, fixed);
    });
  });
});

describe("derivations", () => {
  test("have their outputs known", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const { drvPath, outputs } = minimalDerivation(store, "x", [], ["out", "lib"]);
      assert.deepEqual(queryDerivationOutputs(store, drvPath), new Map([...outputs].sort()));
    });
  });

  test("that claim another's output are refused", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const target = addText(store, "target", Buffer.from("t"), []);
      const full = `${fixture.storeDir}/${target}`;
      const text =
        `Derive([("out","${full}","","")],[],[],"x86_64-linux","/bin/sh",[],[("out","${full}")])` as ByteString;
      assert.throws(() => addText(store, "evil.drv", Buffer.from(text, "latin1"), []), IncorrectOutput);
      assert.deepEqual(queryAllValidPaths(store), [target]);
    });
  });

  test("that cannot be read are refused", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      assert.throws(() => addText(store, "bad.drv", Buffer.from("Derive("), []), BadDerivation);
      assert.deepEqual(queryAllValidPaths(store), []);
    });
  });

  test("may have inputs registered by the same call", () => {
    withStoreFixture((fixture) => {
      const first = fixture.open();
      const { drvPath } = minimalDerivation(first, "x", []);
      const info = requirePathInfo(first, drvPath);
      invalidatePath(first, drvPath);
      assert.equal(queryPathInfo(first, drvPath), undefined);
      registerValidPaths(first, [info]);
      assert.equal(queryDerivationOutputs(first, drvPath).size, 1);
    });
  });
});

describe("invalidating", () => {
  test("takes the rows away, also those of references to itself and of outputs", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      registerValidPaths(store, [fakeInfo(a), fakeInfo(b, [a, b])]);
      const { drvPath } = minimalDerivation(store, "x", []);
      for (const path of [b, a, drvPath]) invalidatePath(store, path);
      for (const table of ["ValidPaths", "Refs", "DerivationOutputs"])
        assert.deepEqual(fixture.rows(`select * from ${table}`), [], table);
      invalidatePath(store, a);
    });
  });

  test("is refused for a path in use", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      registerValidPaths(store, [fakeInfo(a), fakeInfo(b, [a])]);
      assert.throws(
        () => invalidatePath(store, a),
        (error) =>
          error instanceof PathInUse &&
          error.message ===
            `cannot delete path '${fixture.storeDir}/${a}' because it is in use by '${fixture.storeDir}/${b}'`,
      );
      assert.equal(queryAllValidPaths(store).length, 2);
    });
  });

  test("leaves the files", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const path = addText(store, "t", Buffer.from("t"), []);
      invalidatePath(store, path);
      writeFileSync(`${fixture.dir}/probe`, realPath(store, path));
      assert.equal(addText(store, "t", Buffer.from("t"), []), path);
    });
  });
});
