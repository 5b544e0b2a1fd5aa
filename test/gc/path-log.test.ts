import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { pathLog } from "../../src/gc/path-log.ts";

test("a log of paths gives back every name, in order, as often as one asks", () => {
  const name = fc
    .array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 255 })
    .map((bytes) => String.fromCharCode(...bytes));
  fc.assert(
    fc.property(fc.array(name, { maxLength: 50 }), fc.nat(20), (names, repeats) => {
      const log = pathLog("/store/");
      const all = Array.from({ length: repeats + 1 }, () => names).flat();
      for (const each of all) log.add(each);
      const expected = all.map((each) => `/store/${each}`);
      assert.equal(log.length, all.length);
      assert.deepEqual([...log], expected);
      assert.deepEqual([...log], expected);
    }),
  );
});
