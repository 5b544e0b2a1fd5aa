import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { BuildFailed } from "../../src/build/build-failure.ts";
import { allOutputs, type DerivedPath } from "../../src/formats/derivation-outputs.ts";
import type { BuildMode, BuildService } from "../../src/store/build-service.ts";
import { printStorePath, type StorePath } from "../../src/formats/store-path.ts";
import { isValidPath, queryPathInfo } from "../../src/store/queries.ts";
import { chmodSync } from "node:fs";
import { type AddedNode, addGraph, type NodeSpec } from "../support/derivation-graph.ts";
import {
  never,
  outputsOf,
  type Pretend,
  pretendedBuilds,
  serviceWith,
  writeOutputs,
} from "../support/pretended-builds.ts";
import { type SettingPairs, type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";

const plain: SettingPairs = [
  ["sandbox", "false"],
  ["build-users-group", ""],
  ["fsync-metadata", "false"],
  ["build-poll-interval", "1"],
];

interface Scene {
  readonly fixture: StoreFixture;
  readonly graph: AddedNode[];
  readonly service: BuildService;
  readonly started: string[];
  readonly builds: ReturnType<typeof pretendedBuilds>;
  readonly store: ReturnType<StoreFixture["open"]>;
  target(node: number, ...outputs: string[]): DerivedPath;
  full(path: StorePath): string;
}

function withScene<T>(
  nodes: readonly NodeSpec[],
  options: { settings?: SettingPairs; pretend?: Pretend },
  use: (scene: Scene) => Promise<T>,
): Promise<T> {
  return withStoreFixture(async (fixture) => {
    const store = fixture.open([...plain, ...(options.settings ?? [])]);
    const graph = addGraph(store, nodes);
    const builds = pretendedBuilds(options.pretend);
    const service = serviceWith(store, { runBuilder: builds.runner });
    return use({
      fixture,
      graph,
      service,
      builds,
      started: builds.started,
      store,
      target: (node, ...outputs) => ({
        kind: "built",
        drvPath: graph[node]!.drvPath,
        outputs: outputs.length === 0 ? allOutputs : { kind: "names", names: new Set(outputs) },
      }),
      full: (path) => printStorePath(store.storeDir, path),
    });
  });
}

/** Builders of these names fail. */
function failing(...names: string[]): Pretend {
  return (spec) => (names.includes(spec.drvPath.slice(33, -4)) ? { kind: "exited", status: 3 } : writeOutputs(spec));
}

async function failureOf(scene: Scene, targets: DerivedPath[], mode: BuildMode = "normal"): Promise<BuildFailed> {
  let failure: unknown;
  await scene.service.buildPaths(targets, mode, never).catch((error: unknown) => {
    failure = error;
  });
  assert(failure instanceof Error, "the build should have failed");
  return failure as BuildFailed;
}

const diamond: readonly NodeSpec[] = [
  { name: "base" },
  { name: "left", inputs: [0] },
  { name: "right", inputs: [0] },
  { name: "top", inputs: [1, 2] },
];

describe("building", () => {
  test("inputs come first, and each derivation is built once", () =>
    withScene(diamond, {}, async (scene) => {
      await scene.service.buildPaths([scene.target(3), scene.target(1)], "normal", never);
      assert.deepEqual([...scene.started].sort(), ["base", "left", "right", "top"]);
      assert.equal(scene.started[0], "base");
      assert.equal(scene.started[3], "top");
      const info = queryPathInfo(scene.store, scene.graph[3]!.outputs.get("out")!)!;
      assert.equal(info.ultimate, true);
      assert.equal(info.deriver, scene.graph[3]!.drvPath);
    }));

  test("a valid output ends it: nothing below is looked at", () =>
    withScene(diamond, {}, async (scene) => {
      await scene.service.buildPaths([scene.target(3)], "normal", never);
      scene.fixture.execute("delete from ValidPaths where path like '%-base'");
      scene.started.length = 0;
      await scene.service.buildPaths([scene.target(3)], "normal", never);
      assert.deepEqual(scene.started, []);
    }));

  test("no more builds than slots run at once, and no fewer", () => {
    const nodes = Array.from({ length: 12 }, (_, i) => ({ name: `n${i}` }));
    const pretend: Pretend = async (spec) => {
      await new Promise((resolve) => setImmediate(resolve));
      return writeOutputs(spec);
    };
    return withScene(nodes, { settings: [["max-jobs", "3"]], pretend }, async (scene) => {
      await scene.service.buildPaths(
        nodes.map((_, i) => scene.target(i)),
        "normal",
        never,
      );
      assert.equal(scene.started.length, 12);
      assert.equal(scene.builds.mostRunning, 3);
    });
  });

  test("only missing outputs are wanted; a request for more while it runs counts", () => {
    const nodes: NodeSpec[] = [
      { name: "two", outputs: ["out", "dev"], env: { outputs: "out dev" } },
      { name: "needs-out", inputs: [[0, "out"]] },
      { name: "needs-dev", inputs: [[0, "dev"]] },
    ];
    return withScene(nodes, {}, async (scene) => {
      await scene.service.buildPaths([scene.target(1), scene.target(2), scene.target(0, "dev")], "normal", never);
      assert.deepEqual([...scene.started].sort(), ["needs-dev", "needs-out", "two"]);
    });
  });

  test("an output that is there but not valid is removed first", () =>
    withScene([{ name: "a" }], {}, async (scene) => {
      const out = scene.full(scene.graph[0]!.outputs.get("out")!);
      writeFileSync(out, "left by a crash", { mode: 0o444 });
      await scene.service.buildPaths([scene.target(0)], "normal", never);
      assert.equal(queryPathInfo(scene.store, scene.graph[0]!.outputs.get("out")!)?.narSize, 112);
    }));

  test("of a derivation with some outputs valid these stay as they are", () => {
    const nodes: NodeSpec[] = [{ name: "two", outputs: ["out", "dev"], env: { outputs: "out dev" } }];
    const pretend: Pretend = (spec) => {
      const [out, dev] = outputsOf(spec);
      writeFileSync(out!, "out");
      writeFileSync(dev!, `refers to ${out} and ${dev}`);
      return { kind: "exited", status: 0 };
    };
    return withScene(nodes, { pretend }, async (scene) => {
      await scene.service.buildPaths([scene.target(0)], "normal", never);
      const [out, dev] = ["out", "dev"].map((name) => scene.graph[0]!.outputs.get(name)!);
      const before = queryPathInfo(scene.store, dev!)!;
      scene.fixture.execute(`delete from Refs where referrer = (select id from ValidPaths where path like '%-dev')`);
      scene.fixture.execute(`delete from ValidPaths where path like '%-dev'`);
      await scene.service.buildPaths([scene.target(0, "dev")], "normal", never);
      const after = queryPathInfo(scene.store, dev!)!;
      assert.deepEqual({ ...after, registrationTimeSec: 0 }, { ...before, registrationTimeSec: 0 });
      assert.deepEqual(after.references, [dev, out].sort());
    });
  });
});

describe("failures", () => {
  test("without keep-going the first ends it", () =>
    withScene(diamond, { pretend: failing("base"), settings: [["max-jobs", "1"]] }, async (scene) => {
      const failure = await failureOf(scene, [scene.target(3)]);
      assert.equal(failure.exitStatus, 100);
      assert.deepEqual(scene.started, ["base"]);
      assert.equal(
        failure.message,
        `1 dependencies of derivation '${scene.full(scene.graph[3]!.drvPath)}' failed to build`,
      );
      assert.equal(
        scene.fixture.messages[0],
        `error: error: builder for '${scene.full(scene.graph[0]!.drvPath)}' failed with exit code 3`,
      );
    }));

  test("with keep-going the rest is built, and every dependant tells", () => {
    const nodes: NodeSpec[] = [...diamond, { name: "other" }, { name: "all", inputs: [3, 4] }];
    return withScene(nodes, { pretend: failing("base"), settings: [["keep-going", "true"]] }, async (scene) => {
      const failure = await failureOf(scene, [scene.target(5)]);
      assert.equal(failure.exitStatus, 100);
      assert.deepEqual([...scene.started].sort(), ["base", "other"]);
      const told = scene.fixture.messages.filter((line) => line.includes("dependencies of derivation"));
      assert.equal(told.length, 3); // left, right, top
    });
  });

  test("several targets that fail are named", () =>
    withScene(
      [{ name: "a" }, { name: "b" }, { name: "c" }],
      { pretend: failing("a", "b"), settings: [["keep-going", "true"]] },
      async (scene) => {
        const failure = await failureOf(scene, [scene.target(0), scene.target(1), scene.target(2)]);
        const paths = [0, 1].map((node) => `'${scene.full(scene.graph[node]!.drvPath)}'`).sort();
        assert.equal(failure.message, `build of ${paths.join(", ")} failed`);
        assert.equal(failure.exitStatus, 100);
        assert(isValidPath(scene.store, scene.graph[2]!.outputs.get("out")!));
      },
    ));

  test("a timeout is 101, and with a failure beside it, too", () =>
    withScene(
      [{ name: "slow" }, { name: "bad" }],
      {
        pretend: (spec) => (spec.drvPath.includes("slow") ? new Promise(() => {}) : { kind: "exited", status: 1 }),
        settings: [
          ["timeout", "1"],
          ["keep-going", "true"],
          ["max-jobs", "2"],
        ],
      },
      async (scene) => {
        const failure = await failureOf(scene, [scene.target(0), scene.target(1)]);
        assert.equal(failure.exitStatus, 101);
        const slow = scene.full(scene.graph[0]!.drvPath);
        assert(
          scene.fixture.messages.includes(
            `error: error: building of '${slow}!*' from .drv file timed out after 1 seconds`,
          ),
        );
      },
    ));

  test("silence is 101, too much log is 1", () =>
    withScene(
      [{ name: "silent" }, { name: "noisy" }],
      {
        async pretend(spec, onLog) {
          if (spec.drvPath.includes("noisy")) onLog(Buffer.alloc(200, "x"));
          return new Promise(() => {});
        },
        settings: [
          ["max-silent-time", "1"],
          ["max-build-log-size", "100"],
        ],
      },
      async (scene) => {
        assert.equal((await failureOf(scene, [scene.target(0)])).exitStatus, 101);
        const failure = await failureOf(scene, [scene.target(1)]);
        assert.equal(failure.exitStatus, 1);
        assert.match(failure.message, /killed after writing more than 100 bytes of log output$/);
      },
    ));

  test("failures are remembered when asked, until they are cleared", () =>
    withScene(
      [{ name: "a" }],
      { pretend: failing("a"), settings: [["build-cache-failure", "true"]] },
      async (scene) => {
        assert.equal((await failureOf(scene, [scene.target(0)])).exitStatus, 100);
        const again = await failureOf(scene, [scene.target(0)]);
        assert.equal(again.exitStatus, 100);
        assert.match(again.message, /^builder for '.*-a' failed previously \(cached\)$/);
        assert.deepEqual(scene.started, ["a"]);
        const { clearFailedPaths } = await import("../../src/store/failed-paths.ts");
        clearFailedPaths(scene.store, "all");
        await failureOf(scene, [scene.target(0)]);
        assert.deepEqual(scene.started, ["a", "a"]);
      },
    ));

  test("another system, unknown outputs, missing derivations", () =>
    withScene([{ name: "a", system: "foo-linux" }, { name: "b" }], {}, async (scene) => {
      const drv = (node: number) => scene.full(scene.graph[node]!.drvPath);
      assert.equal(
        (await failureOf(scene, [scene.target(0)])).message,
        `a 'foo-linux' with features {} is required to build '${drv(0)}', but I am a 'x86_64-linux' with features {benchmark, big-parallel, kvm, nixos-test}`,
      );
      const unknown = await failureOf(scene, [scene.target(1, "zork")]);
      assert.equal(unknown.message, `derivation '${drv(1)}' does not have wanted outputs 'zork'`);
      assert.equal(unknown.exitStatus, 1);
      const missing = `${"a".repeat(32)}-x.drv` as StorePath;
      const target: DerivedPath = { kind: "built", drvPath: missing, outputs: allOutputs };
      assert.equal(
        (await failureOf(scene, [target])).message,
        `cannot build missing derivation '${scene.full(missing)}'`,
      );
    }));

  test("no jobs: only what prefers to be built here is", () =>
    withScene(
      [{ name: "a" }, { name: "b", env: { preferLocalBuild: "1" } }],
      { settings: [["max-jobs", "0"]] },
      async (scene) => {
        await scene.service.buildPaths([scene.target(1)], "normal", never);
        assert.deepEqual(scene.started, ["b"]);
        assert.match(
          (await failureOf(scene, [scene.target(0)])).message,
          /^unable to start any build; either increase/,
        );
      },
    ));

  test("aborting kills what runs and leaves no locks and no directories", () =>
    withScene([{ name: "a" }, { name: "b", inputs: [0] }], {}, async (scene) => {
      const controller = new AbortController();
      let directory = "";
      const builds = pretendedBuilds((spec) => {
        directory = spec.buildDir;
        controller.abort();
        return new Promise(() => {});
      });
      const service = serviceWith(scene.store, { runBuilder: builds.runner });
      await assert.rejects(
        service.buildPaths([scene.target(1)], "normal", controller.signal),
        /interrupted by the user/,
      );
      assert.notEqual(directory, "");
      assert.equal(existsSync(directory), false);
      await scene.service.buildPaths([scene.target(1)], "normal", never);
      assert.deepEqual(scene.started, ["a", "b"]);
    }));
});

describe("check and repair", () => {
  let contents = "same";
  const pretend: Pretend = (spec) => {
    for (const path of outputsOf(spec)) writeFileSync(path, contents);
    return { kind: "exited", status: 0 };
  };

  test("check builds again and compares", () =>
    withScene([{ name: "a" }], { pretend }, async (scene) => {
      const out = scene.full(scene.graph[0]!.outputs.get("out")!);
      const invalid = await failureOf(scene, [scene.target(0)], "check");
      assert.match(invalid.message, /^some outputs of '.*' are not valid, so checking is not possible$/);
      contents = "same";
      await scene.service.buildPaths([scene.target(0)], "normal", never);
      await scene.service.buildPaths([scene.target(0)], "check", never);
      assert.deepEqual(scene.started, ["a", "a"]);
      contents = "other";
      const failure = await failureOf(scene, [scene.target(0)], "check");
      assert.equal(failure.exitStatus, 104);
      assert.equal(
        failure.message,
        `derivation '${scene.full(scene.graph[0]!.drvPath)}' may not be deterministic: output '${out}' differs`,
      );
      assert.equal(existsSync(`${out}.check`), false);
    }));

  test("with keep-failed the other result is kept", () =>
    withScene([{ name: "a" }], { pretend, settings: [["keep-failed", "true"]] }, async (scene) => {
      const out = scene.full(scene.graph[0]!.outputs.get("out")!);
      contents = "same";
      await scene.service.buildPaths([scene.target(0)], "normal", never);
      contents = "other";
      const failure = await failureOf(scene, [scene.target(0)], "check");
      assert(failure.message.endsWith(`output '${out}' differs from '${out}.check'`));
      assert.equal(existsSync(`${out}.check`), true);
    }));

  test("repair builds a damaged path again, also below", () =>
    withScene(
      [{ name: "a" }, { name: "b", inputs: [0] }],
      {
        pretend: (spec) => {
          const [out] = outputsOf(spec);
          const isTop = spec.drvPath.endsWith("-b.drv");
          writeFileSync(out!, isTop ? `uses ${scene0}` : "good");
          return { kind: "exited", status: 0 };
        },
      },
      async (scene) => {
        const [a, b] = scene.graph.map((node) => scene.full(node.outputs.get("out")!));
        scene0 = a!;
        await scene.service.buildPaths([scene.target(1)], "normal", never);
        for (const path of [a!, b!]) {
          chmodSync(path, 0o644);
          writeFileSync(path, "damaged");
          chmodSync(path, 0o444);
        }
        await scene.service.repairPath(scene.graph[0]!.outputs.get("out")!, never);
        await scene.service.buildPaths([scene.target(1)], "repair", never);
        const { verifyStore } = await import("../../src/store/verify.ts");
        assert.equal(verifyStore(scene.store, { contents: "hash-contents", repair: undefined }), "good");
      },
    ));
  let scene0 = "";

  test("repair looks into the closure when the outputs are good", () =>
    withScene(
      [{ name: "a" }, { name: "b", inputs: [0] }],
      {
        pretend: (spec) => {
          writeFileSync(outputsOf(spec)[0]!, spec.drvPath.endsWith("-b.drv") ? `uses ${scene0}` : "good");
          return { kind: "exited", status: 0 };
        },
      },
      async (scene) => {
        scene0 = scene.full(scene.graph[0]!.outputs.get("out")!);
        await scene.service.buildPaths([scene.target(1)], "normal", never);
        chmodSync(scene0, 0o644);
        writeFileSync(scene0, "damaged");
        chmodSync(scene0, 0o444);
        await scene.service.buildPaths([scene.target(1)], "repair", never);
        assert.deepEqual(scene.started, ["a", "b", "a"]);
        assert(scene.fixture.messages.some((line) => line.includes("found corrupted or missing path")));
      },
    ));
});

describe("results", () => {
  test("one for each target, failures among them", () =>
    withScene(
      [{ name: "a" }, { name: "b" }],
      { pretend: failing("b"), settings: [["keep-going", "true"]] },
      async (scene) => {
        const results = await scene.service.buildPathsWithResults([scene.target(0), scene.target(1)], "normal", never);
        assert.deepEqual(
          results.map(({ result }) => [result.status, result.timesBuilt, [...result.builtOutputs.keys()]]),
          [
            ["built", 1, ["out"]],
            ["permanent-failure", 0, []],
          ],
        );
        assert.match(results[1]!.result.errorMessage, /failed with exit code 3$/);
        const again = await scene.service.buildPathsWithResults([scene.target(0)], "normal", never);
        assert.equal(again[0]!.result.status, "already-valid");
      },
    ));

  test("a derivation that is not in the store", () =>
    withScene([{ name: "a" }], {}, async (scene) => {
      const { readDerivation } = await import("../../src/store/read-derivation.ts");
      const { drvPath } = scene.graph[0]!;
      const drv = readDerivation(scene.store.storeDir, scene.store.realStoreDir, drvPath);
      scene.fixture.execute("delete from ValidPaths");
      const result = await scene.service.buildDerivation(drvPath, drv, "normal", never);
      assert.equal(result.status, "built");
      assert(isValidPath(scene.store, scene.graph[0]!.outputs.get("out")!));
    }));
});
