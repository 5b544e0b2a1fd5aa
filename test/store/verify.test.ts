/** Verifying: every kind of damage is found, told, and counted; nothing else is. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { StorePath } from "../../src/formats/store-path.ts";
import { addPath, addText, recursiveSha256 } from "../../src/store/add.ts";
import { type LocalStore, realPath } from "../../src/store/local-store.ts";
import { optimiseStore } from "../../src/store/optimise.ts";
import { InvalidPath } from "../../src/store/path-info.ts";
import { queryAllValidPaths, requirePathInfo } from "../../src/store/queries.ts";
import { invalidatePath, registerValidPaths } from "../../src/store/register.ts";
import { type VerifyOptions, verifyStore } from "../../src/store/verify.ts";
import { deleteTree } from "../../src/sys/delete-tree.ts";
import { fakeInfo, fakePath } from "../support/fake-paths.ts";
import { executable, file, folder, link, placeTree } from "../support/place-tree.ts";
import { type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const existence: VerifyOptions = { contents: "existence-only", repair: undefined };
const contents: VerifyOptions = { contents: "hash-contents", repair: undefined };

interface Filled {
  readonly store: LocalStore;
  readonly tree: StorePath;
  /** Refers to `tree`. */
  readonly text: StorePath;
}

function fill(fixture: StoreFixture): Filled {
  const store = fixture.open();
  placeTree(
    folder({ a: file("a"), b: executable("b"), c: link("/c"), d: folder({ a: file("a") }) }),
    `${fixture.dir}/tree`,
  );
  const tree = addPath(store, `${fixture.dir}/tree`, { name: "tree", method: recursiveSha256 });
  return { store, tree, text: addText(store, "text", Buffer.from("t"), [tree]) };
}

const told = (fixture: StoreFixture) =>
  fixture.messages
    .filter((message) => /^(error|warning):/.test(message))
    .map((message) => message.replaceAll(fixture.dir, ""));

test("a good store is good, and nobody has anything to say", () => {
  withStoreFixture((fixture) => {
    const { store } = fill(fixture);
    optimiseStore(store, () => {});
    const seen: number[] = [];
    assert.equal(
      verifyStore(store, { ...contents, onPath: (_, index, count) => void seen.push(index, count) }),
      "good",
    );
    assert.deepEqual(seen, [0, 2, 1, 2]);
    assert.deepEqual(
      fixture.messages,
      [
        "info: reading the Nix store...",
        "info: checking path existence...",
        "info: checking link hashes...",
        "info: checking store hashes...",
        ...fixture.messages.filter((message) => message.startsWith("talkative:")),
      ].sort((a, b) => fixture.messages.indexOf(a) - fixture.messages.indexOf(b)),
    );
  });
});

describe("a path that disappeared", () => {
  test("is forgotten, with what refers to it if that is gone too", () => {
    withStoreFixture((fixture) => {
      const { store, tree, text } = fill(fixture);
      for (const path of [tree, text]) deleteTree(realPath(store, path));
      assert.equal(verifyStore(store, existence), "good");
      assert.deepEqual(queryAllValidPaths(store), []);
      assert.deepEqual(told(fixture), [
        `error: path '/store/${text}' disappeared, removing from database...`,
        `error: path '/store/${tree}' disappeared, removing from database...`,
      ]);
    });
  });

  test("stays while something that is there needs it", () => {
    withStoreFixture((fixture) => {
      const { store, tree } = fill(fixture);
      deleteTree(realPath(store, tree));
      assert.equal(verifyStore(store, existence), "errors");
      assert.equal(queryAllValidPaths(store).length, 2);
      assert.deepEqual(told(fixture), [`error: path '/store/${tree}' disappeared, but it still has valid referrers!`]);
    });
  });

  test("is made again where it can be", () => {
    withStoreFixture((fixture) => {
      const { store, tree } = fill(fixture);
      deleteTree(realPath(store, tree));
      const repair = (path: StorePath) => {
        assert.equal(path, tree);
        addPath(store, `${fixture.dir}/tree`, { name: "tree", method: recursiveSha256, mode: "repair" });
      };
      assert.equal(verifyStore(store, { contents: "hash-contents", repair }), "good");
      assert(existsSync(realPath(store, tree)));
    });
  });

  test("in a chain of thousands is forgotten in the right order", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const chain = Array.from({ length: 3000 }, (_, i) => fakePath(`c${i}`));
      registerValidPaths(
        store,
        chain.map((path, i) => fakeInfo(path, i === 0 ? [path] : [chain[i - 1]!])),
      );
      assert.equal(verifyStore(store, existence), "good");
      assert.deepEqual(queryAllValidPaths(store), []);
    });
  });
});

describe("contents that changed", () => {
  const damages: Readonly<Record<string, string>> = {
    "another byte": 'chmod u+w "$0/a" && printf x > "$0/a"',
    "a longer file": 'chmod u+w "$0/a" && printf aa > "$0/a"',
    "a file more": 'chmod u+w "$0" && touch "$0/more"',
    "a file less": 'rm -f "$0/a"',
    "another execute bit": 'chmod a+x "$0/a"',
    "another target": 'rm "$0/c" && ln -s /d "$0/c"',
    "a file for a directory": 'rm -r "$0" && touch "$0"',
  };
  for (const [name, script] of Object.entries(damages)) {
    test(`${name} is found`, () => {
      withStoreFixture((fixture) => {
        const { store, tree } = fill(fixture);
        assert.equal(spawnSync("sh", ["-c", script, realPath(store, tree)]).status, 0);
        assert.equal(verifyStore(store, existence), "good");
        assert.equal(verifyStore(store, contents), "errors");
        assert.equal(told(fixture).length, 1);
        assert.match(
          told(fixture)[0]!,
          /^error: path '.*-tree' was modified! expected hash 'sha256:\w{52}', got 'sha256:\w{52}'$/,
        );
      });
    });
  }

  test("to something that cannot be in a store is told", () => {
    withStoreFixture((fixture) => {
      const { store, tree } = fill(fixture);
      spawnSync("sh", ["-c", 'rm "$0/a" && mkfifo "$0/a"', realPath(store, tree)]);
      assert.equal(verifyStore(store, contents), "errors");
      assert.match(told(fixture)[0]!, /^error: error: Cannot archive '.*\/a': it is a socket, device or fifo/);
    });
  });

  test("are made good where they can be, and told when they cannot", () => {
    withStoreFixture((fixture) => {
      const { store, tree } = fill(fixture);
      writeFileSync(`${realPath(store, tree)}/more`, "");
      const failing = () => {
        throw new InvalidPath("/nowhere");
      };
      assert.equal(verifyStore(store, { contents: "hash-contents", repair: failing }), "errors");
      assert.equal(told(fixture)[1], "warning: warning: path '/nowhere' is not valid");
      const repair = () => {
        addPath(store, `${fixture.dir}/tree`, { name: "tree", method: recursiveSha256, mode: "repair" });
      };
      assert.equal(verifyStore(store, { contents: "hash-contents", repair }), "good");
      assert.equal(verifyStore(store, contents), "good");
    });
  });

  test("of a link in .links are found and, when repairing, taken away", () => {
    withStoreFixture((fixture) => {
      const { store } = fill(fixture);
      optimiseStore(store, () => {});
      const links = `${fixture.storeDir}/.links`;
      writeFileSync(`${links}/${"0".repeat(52)}`, "wrong");
      spawnSync("mkfifo", [`${links}/${"1".repeat(52)}`]);
      assert.equal(verifyStore(store, contents), "errors");
      assert.match(
        told(fixture).join("\n"),
        /link '\/store\/\.links\/0+' was modified! expected hash '0+', got '\w{52}'/,
      );
      assert.equal(verifyStore(store, { contents: "hash-contents", repair: () => {} }), "good");
      assert(!existsSync(`${links}/${"0".repeat(52)}`));
      assert.equal(verifyStore(store, contents), "good");
    });
  });
});

describe("a database of old", () => {
  test("has what it did not know filled in", () => {
    withStoreFixture((fixture) => {
      const { store, tree, text } = fill(fixture);
      const before = [tree, text].map((path) => requirePathInfo(store, path));
      fixture.execute(
        `update ValidPaths set hash = 'sha256:${"0".repeat(64)}', narSize = null where path like '%-tree'`,
      );
      fixture.execute("update ValidPaths set narSize = 0 where path like '%-text'");
      assert.equal(verifyStore(store, contents), "good");
      assert.deepEqual(
        [tree, text].map((path) => requirePathInfo(store, path)),
        before,
      );
      assert.deepEqual(told(fixture).sort(), [
        `error: fixing missing hash on '/store/${tree}'`,
        `error: updating size field on '/store/${text}' to 120`,
      ]);
    });
  });
});

describe("a damaged database", () => {
  test("loses rows that name no store path, unless others need them", () => {
    withStoreFixture((fixture) => {
      const { store, text } = fill(fixture);
      fixture.execute("insert into ValidPaths (path, hash, registrationTime) values ('/elsewhere/x', 'sha256:00', 1)");
      assert.equal(verifyStore(store, contents), "good");
      assert.equal(queryAllValidPaths(store).length, 2);
      fixture.execute("update ValidPaths set path = '/elsewhere/x' where path like '%-tree'");
      assert.equal(verifyStore(store, contents), "errors");
      assert.match(told(fixture).join("\n"), /path '\/elsewhere\/x' is not in the Nix store/);
      assert.match(told(fixture).join("\n"), /path '\/elsewhere\/x' disappeared, but it still has valid referrers!/);
      assert.equal(requirePathInfo.length, 2);
      assert(text.length > 0);
    });
  });

  test("with rows that make no sense is told of, and the others are looked at", () => {
    withStoreFixture((fixture) => {
      const { store, tree, text } = fill(fixture);
      fixture.execute("update ValidPaths set hash = 'rubbish' where path like '%-tree'");
      writeFileSync(realPath(store, text), "changed");
      assert.equal(verifyStore(store, contents), "errors");
      assert.equal(told(fixture).length, 2);
      assert(told(fixture).some((message) => message.includes(`entry for '/store/${tree}' is damaged`)));
      assert(told(fixture).some((message) => message.includes(`path '/store/${text}' was modified`)));
    });
  });
});

test("a large store is looked at by two processes, and nothing gets lost between them", () => {
  withStoreFixture((fixture) => {
    const store = fixture.open();
    const paths = Array.from({ length: 24 }, (_, i) => {
      placeTree(folder({ large: file(`${i}`.padEnd(3_000_000, "x")), small: file(`${i}`) }), `${fixture.dir}/t${i}`);
      return addPath(store, `${fixture.dir}/t${i}`, { name: `t${i}`, method: recursiveSha256 });
    });
    const begun: string[] = [];
    const options: VerifyOptions = { ...contents, onPath: (path) => void begun.push(path) };
    assert.equal(verifyStore(store, options), "good");
    assert.deepEqual(begun.sort(), [...paths].sort());
    assert.deepEqual(told(fixture), []);
    const damaged = paths.filter((_, i) => i % 3 === 0);
    for (const path of damaged) writeFileSync(`${realPath(store, path)}/more`, "");
    spawnSync("mkfifo", [`${realPath(store, paths[1]!)}/fifo`]);
    assert.equal(verifyStore(store, contents), "errors");
    const messages = told(fixture).sort();
    assert.equal(messages.length, damaged.length + 1);
    assert.equal(messages.filter((message) => message.includes("was modified!")).length, damaged.length);
    assert.match(messages[0]!, /^error: error: Cannot archive '.*\/fifo': it is a socket, device or fifo/);
  });
});

test("what a collector takes while we look is no error", () => {
  withStoreFixture((fixture) => {
    const { store, tree, text } = fill(fixture);
    const verdict = verifyStore(store, {
      ...contents,
      onPath(path) {
        if (path !== text && path !== tree) return;
        for (const gone of [text, tree]) {
          invalidatePath(store, gone);
          deleteTree(realPath(store, gone));
        }
      },
    });
    assert.equal(verdict, "good");
    assert.deepEqual(
      told(fixture).filter((message) => message.startsWith("error:")),
      [],
    );
  });
});

test("stock Nix comes to the same verdict", { skip: skipWithoutNix }, () => {
  withStoreFixture((fixture) => {
    const { store, tree } = fill(fixture);
    const agree = (verdict: "good" | "errors") => {
      assert.equal(verifyStore(store, contents), verdict);
      const { status, stderr } = fixture.tryNix(["--verify", "--check-contents"]);
      assert.equal(status === 0 ? "good" : "errors", verdict, String(stderr));
    };
    agree("good");
    writeFileSync(`${realPath(store, tree)}/more`, "");
    agree("errors");
    rmSync(`${realPath(store, tree)}/more`);
    agree("good");
    renameSync(realPath(store, tree), `${fixture.dir}/gone`);
    agree("errors");
  });
});
