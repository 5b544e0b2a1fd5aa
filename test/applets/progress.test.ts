/** The live view without a terminal: what activities make of the model, and what lines the model makes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { cellWidth } from "../../src/applets/progress/cell-width.ts";
import { progressFrame } from "../../src/applets/progress/progress-frame.ts";
import { type ProgressModel, progressModel, type WorkItem } from "../../src/applets/progress/progress-model.ts";
import { runSummary } from "../../src/applets/progress/run-summary.ts";
import { showElapsed } from "../../src/applets/progress/show-elapsed.ts";
import { fromText } from "../../src/formats/byte-string.ts";
import type { ActivityKind, ActivityResult } from "../../src/store/reporter.ts";

const hash = "0123456789abcdfghijklmnpqrsvwxyz";
const plain = { colours: "off", cut: "..." } as const;

function begin(
  model: ProgressModel,
  kind: ActivityKind,
  nowMs: number,
  fields: readonly (string | number)[] = [],
  parent?: WorkItem,
  text = "",
): WorkItem {
  return model.start({ kind, level: "info", text, fields }, parent, nowMs);
}

function counted(done: number, expected: number, running = 0, failed = 0): ActivityResult {
  return { kind: "progress", done, expected, running, failed };
}

function drv(name: string): string {
  return fromText(`/nix/store/${hash}-${name}.drv`);
}

function texts(model: ProgressModel, columns: number, rows: number, nowMs: number, sinceMs = 0): string[] {
  return progressFrame(model, { columns, rows }, nowMs, sinceMs, plain).map(({ text }) => text.trimEnd());
}

/** Three builds, of which one says nothing yet, and a download with its path. */
function busyModel(): ProgressModel {
  const model = progressModel();
  begin(model, "realise", 0);
  const builds = begin(model, "builds", 0);
  const copies = begin(model, "copy-paths", 0);
  const gcc = begin(model, "build", 0, [drv("gcc-12.2.0"), "", 1, 1]);
  model.result(gcc, { kind: "set-phase", phase: "buildPhase" }, 0);
  model.result(gcc, { kind: "build-log-line", line: "checking for strdup... yes" }, 0);
  model.result(gcc, { kind: "build-log-line", line: "  \t " }, 0);
  begin(model, "build", 61_000, [drv("hello"), "ssh://mac", 1, 1]);
  const tcl = begin(model, "build", 64_000, [drv("tcl-日本"), "", 1, 1]);
  model.result(tcl, { kind: "build-log-line", line: fromText("\x1b[31mré\x1b]0;title\x07d\x1b[2J\b\r\tü\u202e") }, 0);
  const path = `/nix/store/${hash}-zlib-1.3`;
  const outer = begin(model, "substitute", 60_000, [path, "https://cache.example.org"]);
  const copy = begin(model, "copy-path", 60_000, [path, "https://cache.example.org", "local"], outer);
  model.result(copy, counted(1_500_000, 3_000_000), 60_000);
  model.result(copy, counted(2_097_152, 4_194_304), 62_000);
  model.result(builds, counted(2, 19, 3, 1), 60_000);
  model.result(copies, counted(1, 2, 1), 60_000);
  return model;
}

describe("the view", () => {
  test("at 100 columns", () => {
    assert.deepEqual(texts(busyModel(), 100, 24, 65_000), [
      " 1m05s  gcc-12.2.0  buildPhase  checking for strdup... yes",
      "    4s  hello                   on ssh://mac",
      "    1s  tcl-日本                réd ü",
      "    5s  zlib-1.3    copying     2.0 MiB of 4.0 MiB from https://cache.example.org",
      "[2/20 built, 1 failed, 3 running, 14 waiting, 1/2 fetched 2.0 MiB of 4.0 MiB at 116.6 KiB/s] 1m05s",
    ]);
  });

  test("at 40 columns: no phases, and only counts that fit", () => {
    assert.deepEqual(texts(busyModel(), 40, 24, 65_000), [
      " 1m05s  gcc-12.2.0  checking for str...",
      "    4s  hello       on ssh://mac",
      "    1s  tcl-日本    réd ü",
      "    5s  zlib-1.3    2.0 MiB of 4.0 M...",
      "[2/20 built, 1 failed, 3 running] 1m05s",
    ]);
  });

  test("in few rows: the oldest, how many more, the counts, and a row for the cursor", () => {
    assert.deepEqual(texts(busyModel(), 60, 5, 65_000), [
      " 1m05s  gcc-12.2.0  buildPhase  checking for strdup... yes",
      "    4s  hello                   on ssh://mac",
      "        and 2 more",
      "[2/20 built, 1 failed, 3 running, 14 waiting] 1m05s",
    ]);
    assert.deepEqual(texts(busyModel(), 60, 2, 65_000), ["[2/20 built, 1 failed, 3 running, 14 waiting] 1m05s"]);
    assert.deepEqual(texts(busyModel(), 60, 1, 65_000), []);
  });

  test("never more than ten rows above the counts", () => {
    const model = progressModel();
    const builds = begin(model, "builds", 0);
    model.result(builds, counted(0, 30, 30), 0);
    for (let i = 0; i < 30; i++) begin(model, "build", 0, [drv(`p${i}`), "", 1, 1]);
    const lines = texts(model, 80, 60, 1000);
    assert.equal(lines.length, 11);
    assert.deepEqual(lines.slice(8), ["    1s  p8", "        and 21 more", "[0/30 built, 30 running] 1s"]);
  });

  test("colours only where they are wanted, and not counted", () => {
    const lines = progressFrame(busyModel(), { columns: 60, rows: 24 }, 65_000, 0, { colours: "on", cut: "…" });
    for (const { text, cells } of lines) {
      assert.match(text, /\x1b\[[0-9]+m/);
      const without = text.replace(/\x1b\[[0-9]*m/g, "");
      assert.doesNotMatch(without, /\x1b/);
      assert.equal(cellWidth(without), cells);
      assert.ok(cells < 60);
    }
  });

  test("whatever is said, lines fit", () => {
    const anything = fc.string({ unit: "binary", maxLength: 120 });
    fc.assert(
      fc.property(
        fc.array(fc.record({ name: anything, phase: anything, line: anything }), { maxLength: 14 }),
        fc.integer({ min: 1, max: 130 }),
        fc.integer({ min: 1, max: 16 }),
        (builds, columns, rows) => {
          const model = progressModel();
          model.result(begin(model, "builds", 0), counted(1, builds.length), 0);
          for (const { name, phase, line } of builds) {
            const item = begin(model, "build", 0, [drv(name), "", 1, 1]);
            model.result(item, { kind: "set-phase", phase: fromText(phase) }, 0);
            model.result(item, { kind: "build-log-line", line: fromText(line) }, 0);
          }
          const lines = progressFrame(model, { columns, rows }, 5000, 0, plain);
          assert.ok(lines.length < rows || lines.length === 0);
          for (const { text, cells } of lines) {
            assert.equal(cellWidth(text), cells);
            assert.ok(cells < columns, text);
            assert.doesNotMatch(text, /\p{Cc}/u);
          }
        },
      ),
    );
  });
});

describe("the model", () => {
  test("downloads: those without a path of theirs after a moment, those of builds within them", () => {
    const model = progressModel();
    const build = begin(model, "build", 0, [drv("source"), "", 1, 1]);
    const inner = begin(model, "file-transfer", 0, ["https://example.org/a.tar.gz"], build);
    const outer = begin(model, "file-transfer", 0, ["https://example.org/dir/b.narinfo?x=1"]);
    model.result(inner, counted(1000, 5000), 0);
    model.result(outer, counted(24, 24), 0);
    assert.deepEqual(texts(model, 80, 24, 100), ["    0s  source  downloading", "[received 1.0 KiB of 4.9 KiB] 0s"]);
    assert.equal(texts(model, 80, 24, 700)[1], "    0s  b.narinfo  downloading  24 B of 24 B");
    model.stop(inner);
    model.stop(outer);
    model.stop(outer);
    assert.deepEqual(model.received(), { done: 1024, expected: 1024 });
    assert.deepEqual([...model.items], [build]);
  });

  test("what is waited for is said with names of paths", () => {
    const model = progressModel();
    begin(model, "build-waiting", 0, [], undefined, `waiting for lock on '/nix/store/${hash}-hello-2.12'`);
    assert.deepEqual(texts(model, 80, 24, 3000), ["    3s  waiting for lock on 'hello-2.12'"]);
  });

  test("verification and optimisation are counts", () => {
    const model = progressModel();
    model.result(begin(model, "verify-paths", 0), counted(120, 3000, 1), 0);
    const optimise = begin(model, "optimise-store", 0);
    model.result(optimise, counted(7, 0), 0);
    model.result(optimise, { kind: "file-linked", bytesFreed: 2048, blocksFreed: 4 }, 0);
    assert.deepEqual(texts(model, 80, 24, 0), ["[verifying 120/3000, optimising 7, 2.0 KiB freed] 0s"]);
  });

  test("a copy outside of a run is no fetching", () => {
    const model = progressModel();
    model.result(begin(model, "copy-paths", 0), counted(3, 9), 0);
    assert.deepEqual(texts(model, 80, 24, 2000), ["[3/9 copied] 2s"]);
  });

  test("speed is that of the last seconds", () => {
    const model = progressModel();
    const transfer = begin(model, "file-transfer", 0, ["https://example.org/x"]);
    for (let ms = 0; ms <= 20_000; ms += 100) model.result(transfer, counted(ms < 10_000 ? 0 : ms * 1000, 0), ms);
    assert.ok(Math.abs(model.bytesPerSecond(20_000) - 1_000_000) < 1000);
    assert.equal(model.bytesPerSecond(30_000), 0);
  });

  test("the summary counts what was done, and a new run begins with nothing", () => {
    const model = busyModel();
    for (const item of [...model.items]) model.stop(item);
    assert.equal(runSummary(model, 41_700), "2 built, 1 failed, 1 fetched (2.0 MiB) in 41s");
    for (const name of ["a", "b"]) model.stop(begin(model, "build", 0, [drv(name), "", 1, 1]));
    assert.equal(runSummary(model, 41_700), "2 built, 1 failed, 2 stopped, 1 fetched (2.0 MiB) in 41s");
    model.forget();
    assert.equal(runSummary(model, 41_700), undefined);
  });
});

test("elapsed time", () => {
  const seconds = [0, 0.9, 59.99, 60, 3599, 3600, 90_061];
  assert.deepEqual(
    seconds.map((each) => showElapsed(each * 1000)),
    ["0s", "0s", "59s", "1m00s", "59m59s", "1h00m", "25h01m"],
  );
});
