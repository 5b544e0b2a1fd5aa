/**
 * Generated trees and texts into the stores of stock Nix and of silo, at the same place: the same paths, hashes, sizes, content
 * addresses, references and files; and each goes on with the other's store.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { encodeNar } from "../../src/formats/nar/tree.ts";
import { hashBytes, printHash } from "../../src/formats/hash.ts";
import type { StorePath } from "../../src/formats/store-path.ts";
import { addPath, addText, recursiveSha256 } from "../../src/store/add.ts";
import type { LocalStore } from "../../src/store/local-store.ts";
import { queryAllPathInfos } from "../../src/store/queries.ts";
import { arbitraryTree } from "../support/arbitrary-tree.ts";
import { placeTree, readTree } from "../support/place-tree.ts";
import { fixtureAt, type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";
import { deleteTree } from "../../src/sys/delete-tree.ts";

const isLong = process.env["SILO_LONG"] === "1";
const treeCount = isLong ? 6000 : 800;
const textCount = isLong ? 4000 : 600;

const rowsSql = "select path, hash, deriver, narSize, ultimate, sigs, ca from ValidPaths order by path";
const referencesSql =
  "select a.path, b.path as reference from Refs join ValidPaths a on referrer = a.id join ValidPaths b on reference = b.id order by 1, 2";

interface Contents {
  readonly rows: unknown[][];
  readonly references: unknown[][];
  /** The hash of each path's files, by path. */
  readonly files: Record<string, string>;
}

/** What `fill` leaves in a fresh store in `dir`. */
function contentsAfter(dir: string, fill: (fixture: StoreFixture) => void): Contents {
  const fixture = fixtureAt(dir);
  fill(fixture);
  const rows = fixture.rows(rowsSql);
  const files: Record<string, string> = {};
  for (const [path] of rows) {
    files[String(path)] = printHash(hashBytes("sha256", encodeNar(readTree(String(path)))), "base16");
  }
  for (const [path, hash] of rows) assert.equal(files[String(path)], hash);
  const references = fixture.rows(referencesSql);
  for (const name of ["store", "state"]) deleteTree(`${dir}/${name}`);
  return { rows, references, files };
}

function inBatches<T>(items: readonly T[], size: number, use: (batch: readonly T[]) => void): void {
  for (let at = 0; at < items.length; at += size) use(items.slice(at, at + size));
}

describe("the same into both", { skip: skipWithoutNix }, () => {
  test(`${treeCount} trees`, () => {
    withStoreFixture(({ dir }) => {
      const sources = fc.sample(arbitraryTree, { numRuns: treeCount, seed: 20261122 }).map((tree, i) => {
        const source = `${dir}/tree-${i}`;
        placeTree(tree, source);
        return source;
      });
      const nameOf = (source: string) => source.slice(dir.length + 1);
      const theirs = contentsAfter(dir, ({ nix }) => {
        inBatches(sources, 200, (batch) => void nix(["--add", ...batch]));
      });
      const ours = contentsAfter(dir, (fixture) => {
        const store = fixture.open();
        for (const source of sources) addPath(store, source, { name: nameOf(source), method: recursiveSha256 });
        store.close();
      });
      assert.equal(theirs.rows.length, treeCount);
      assert.deepEqual(ours, theirs);
    });
  });

  test(`${textCount} texts with references to each other`, () => {
    withStoreFixture(({ dir }) => {
      const texts = fc.sample(
        fc.record({
          text: fc.string({ unit: fc.constantFrom(..."abc \n$\\\"'{}()é") }),
          references: fc.array(fc.nat(), { maxLength: 5 }),
        }),
        { numRuns: textCount, seed: 20261122 },
      );
      const referencesOf = (i: number) => (i === 0 ? [] : texts[i]!.references.map((reference) => reference % i));
      const theirs = contentsAfter(dir, (fixture) => {
        // A text refers to what its context says: the interpolated paths, which are part of the text.
        const items = texts.map(({ text }, i) => {
          const quoted = JSON.stringify(text).replaceAll("$", "\\$");
          const interpolated = referencesOf(i).map((reference) => `\${t${reference}}`);
          return `t${i} = builtins.toFile "text-${i}" (${quoted} + "${interpolated.join(" ")}");`;
        });
        const all = texts.map((_, i) => `t${i}`).join(" ");
        writeFileSync(`${dir}/texts.nix`, `let ${items.join("\n")} in builtins.concatStringsSep " " [ ${all} ]`);
        const { status, stderr } = fixture.tryProgram("nix-instantiate", [
          "--eval",
          "--read-write-mode",
          `${dir}/texts.nix`,
        ]);
        assert.equal(status, 0, String(stderr));
      });
      const ours = contentsAfter(dir, (fixture) => {
        const store = fixture.open();
        const paths: StorePath[] = [];
        texts.forEach(({ text }, i) => {
          const references = referencesOf(i).map((reference) => paths[reference]!);
          const shown = references.map((path) => `${fixture.storeDir}/${path}`).join(" ");
          paths.push(addText(store, `text-${i}`, Buffer.from(text + shown), [...new Set(references)]));
        });
        store.close();
      });
      assert.equal(theirs.rows.length, textCount);
      assert.deepEqual(ours, theirs);
    });
  });
});

describe("one goes on with the other's store", { skip: skipWithoutNix }, () => {
  test("in turn, and at the same time", async () => {
    await withStoreFixture(async (fixture) => {
      const { dir, nix } = fixture;
      const sources = fc.sample(arbitraryTree, { numRuns: 120, seed: 7 }).map((tree, i) => {
        placeTree(tree, `${dir}/tree-${i}`);
        return `${dir}/tree-${i}`;
      });
      const add = (store: LocalStore, source: string) =>
        addPath(store, source, { name: source.slice(dir.length + 1), method: recursiveSha256 });
      // In turn, a few each.
      for (let i = 0; i < 60; i += 20) {
        nix(["--add", ...sources.slice(i, i + 12)]);
        const store = fixture.open();
        for (const source of sources.slice(i + 8, i + 20)) add(store, source);
        store.close();
      }
      // At the same time, the same trees.
      const rest = sources.slice(60);
      const silo = fixture.startSilo(["add", ...rest]);
      const exited = new Promise((done) => silo.on("close", done));
      silo.stdout!.resume();
      inBatches(rest, 10, (batch) => void nix(["--add", ...batch]));
      assert.equal(await exited, 0);
      const store = fixture.open();
      const infos = queryAllPathInfos(store);
      assert.equal(infos.size, sources.length);
      for (const source of sources) assert(infos.has(add(store, source)));
      nix(["--optimise"]);
      assert.equal(String(fixture.silo(["verify", "contents"])), "good\n");
      assert.equal(String(nix(["--verify", "--check-contents"])), "");
      fixture.silo(["optimise"]);
      assert.equal(readFileSync(`${dir}/state/db/schema`, "latin1"), "10");
    });
  });
});
