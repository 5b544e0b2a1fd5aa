import assert from "node:assert/strict";
import { existsSync, lstatSync, lutimesSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  BadGenerations,
  chooseGenerations,
  currentGeneration,
  deleteGenerations,
  findGenerations,
  findProfiles,
  type GenerationsToDelete,
  parseAge,
  parseGenerations,
} from "../../src/gc/profiles/generations.ts";
import { silentReporter } from "../../src/store/reporter.ts";
import { withStoreFixture } from "../support/store-fixture.ts";

const day = 24 * 3600;
const nowSec = 1_700_000_000;

/** Generations of these ages in days, numbered from 1. */
function aged(...ages: number[]) {
  return ages.map((age, i) => ({ number: i + 1, path: `p-${i + 1}-link`, createdSec: nowSec - age * day }));
}

function chosen(ages: number[], current: number | undefined, which: GenerationsToDelete): number[] {
  return chooseGenerations(aged(...ages), current, { which, nowSec }).map(({ number }) => number);
}

describe("choosing generations", () => {
  test("old ones are all but the current one, newer ones too", () => {
    assert.deepEqual(chosen([9, 8, 7, 6], 3, { kind: "old" }), [1, 2, 4]);
    assert.deepEqual(chosen([9, 8], undefined, { kind: "old" }), [1, 2]);
  });

  test("by age the one that was in use then stays", () => {
    assert.deepEqual(chosen([40, 30, 20, 10], 4, { kind: "older-than", days: 15 }), [1, 2]);
    assert.deepEqual(chosen([40, 30, 20, 10], 4, { kind: "older-than", days: 45 }), []);
    assert.deepEqual(chosen([40, 30, 20, 10], 1, { kind: "older-than", days: 5 }), [2, 3]);
    assert.deepEqual(chosen([], undefined, { kind: "older-than", days: 5 }), []);
  });

  test("by number, never the current one", () => {
    assert.deepEqual(chosen([4, 3, 2, 1], 2, { kind: "numbers", numbers: [1, 2, 4, 9] }), [1, 4]);
  });

  test("all but the last so many, the current one counted", () => {
    assert.deepEqual(chosen([5, 4, 3, 2, 1], 4, { kind: "keep-last", count: 2 }), [1, 2]);
    assert.deepEqual(chosen([5, 4, 3], 3, { kind: "keep-last", count: 7 }), []);
  });

  test("specifications are understood or refused", () => {
    assert.deepEqual(parseGenerations(["old"]), { kind: "old" });
    assert.deepEqual(parseGenerations(["30d"]), { kind: "older-than", days: 30 });
    assert.deepEqual(parseGenerations(["+5"]), { kind: "keep-last", count: 5 });
    assert.deepEqual(parseGenerations(["3,4", "7"]), { kind: "numbers", numbers: [3, 4, 7] });
    for (const bad of ["", "x", "0d", "+0", "3x", "-1", "1,,2"])
      assert.throws(() => parseGenerations([bad]), BadGenerations);
    for (const bad of ["30", "0d", "d", "1.5d", "-3d"]) assert.throws(() => parseAge(bad), BadGenerations);
  });
});

describe("profiles on disk", () => {
  test("generations are found, deleted with the profile locked, and the current one stays", () =>
    withStoreFixture(({ dir }) => {
      const profiles = join(dir, "profiles");
      mkdirSync(join(profiles, "sub"), { recursive: true });
      const object = `/nix/store/${"0".repeat(32)}-x`;
      for (const name of ["p-1-link", "p-2-link", "p-10-link", "p-x-link", "pq-1-link", "p-3-linked"]) {
        symlinkSync(object, join(profiles, name));
      }
      symlinkSync("p-2-link", join(profiles, "p"));
      for (const name of ["q-1-link", "q-2-link"]) symlinkSync(object, join(profiles, "sub", name));
      symlinkSync(join(profiles, "sub", "q-1-link"), join(profiles, "sub", "q")); // by an absolute link
      lutimesSync(join(profiles, "p-1-link"), 5, 5);
      const profile = join(profiles, "p");
      assert.deepEqual(
        findGenerations(profile).map(({ number, createdSec }) => [number, createdSec === 5]),
        [
          [1, true],
          [2, false],
          [10, false],
        ],
      );
      assert.equal(currentGeneration(profile), 2);
      assert.equal(currentGeneration(join(profiles, "sub", "q")), 1);

      const found: string[] = [];
      findProfiles(
        profiles,
        () => true,
        (path) => found.push(path),
      );
      assert.deepEqual(found.sort(), [profile, join(profiles, "sub", "q")]);
      const before = readdirSync(profiles);
      const options = { which: { kind: "old" } as const, reporter: silentReporter, nowSec };
      for (const path of found) deleteGenerations(path, { ...options, run: "dry" });
      assert.deepEqual(readdirSync(profiles), before);
      for (const path of found) deleteGenerations(path, { ...options, run: "delete" });
      assert.deepEqual(readdirSync(profiles).sort(), ["p", "p-2-link", "p-3-linked", "p-x-link", "pq-1-link", "sub"]);
      assert.deepEqual(readdirSync(join(profiles, "sub")).sort(), ["q", "q-1-link"]);
      assert(lstatSync(profile).isSymbolicLink() && !existsSync(`${profile}.lock`));
    }));
});
