/** The live view on a real terminal, while twenty builds pretend to run; and the same talk into a pipe. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, test } from "node:test";
import { hasTmux, openTmux } from "../support/tmux-terminal.ts";

const skip = hasTmux || process.env["SILO_REQUIRE_PEERS"] === "1" ? false : "tmux is not installed";
const driver = resolve(import.meta.dirname, "../support/progress-driver.ts");
const runtime = "Deno" in globalThis ? [process.execPath, "run", "--no-check", "-A"] : [process.execPath];
const command = [...runtime, driver].join(" ");

/** Steps at which the driver waits until they are opened. */
function gatesFor(...steps: readonly string[]) {
  const dir = mkdtempSync(join(tmpdir(), "silo-gates-"));
  for (const step of steps) writeFileSync(join(dir, step), "");
  return {
    env: { SILO_TEST_GATES: dir },
    open: (step: string) => rmSync(join(dir, step)),
    [Symbol.dispose]: () => rmSync(dir, { recursive: true }),
  };
}

const isItem = (row: string) => /^ +\d+s {2}\S/.test(row);
const isCounts = (row: string) => /^\[\d+\/20 built/.test(row);

/** Is it a view of `items` builds and nothing else of ours, as wide as the terminal and not wider? */
function isView(rows: readonly string[], items: number, columns: number, above: readonly string[] = []): boolean {
  const own = rows.slice(above.length);
  const widest = Math.max(...own.filter((row) => !/[^\x00-\u2fff]/.test(row)).map((row) => row.length));
  return (
    above.every((row, i) => rows[i] === row) &&
    own.length === items + 1 &&
    own.slice(0, -1).every((row) => isItem(row) || /^ {8}and \d+ more$/.test(row)) &&
    isCounts(own.at(-1)!) &&
    widest === columns - 1
  );
}

describe("on a terminal", { skip }, () => {
  test("wide, narrow, wide again, low and high: one view, and nothing of those before", async () => {
    using gates = gatesFor("twelve-running", "message", "one-running", "failed");
    using terminal = openTmux(command, { columns: 200, rows: 40, env: gates.env });
    for (const [columns, rows, items] of [
      [200, 40, 10],
      [80, 40, 10],
      [200, 40, 10],
      [61, 40, 10],
      [200, 24, 10],
      [80, 24, 10],
      [80, 8, 6],
      [80, 24, 10],
    ] as const) {
      terminal.resize(columns, rows);
      const screen = await terminal.screenWhen((seen) => isView(seen, items, columns));
      assert.ok(isView(screen, items, columns), `${columns} columns, ${rows} rows:\n${screen.join("\n")}`);
      assert.deepEqual(terminal.cursor(), { shown: true, column: 0 });
    }
    const wideName = terminal.screen().find((row) => row.includes("日本語-パッケージ-1.0"));
    assert.ok(wideName !== undefined);

    const warning = ["warning: something to be read above the view, number 1"];
    gates.open("twelve-running");
    const withMessage = await terminal.screenWhen((seen) => isView(seen, 10, 80, warning));
    assert.ok(isView(withMessage, 10, 80, warning), withMessage.join("\n"));
    gates.open("message");
    const withOne = await terminal.screenWhen((seen) => isView(seen, 1, 80, warning));
    assert.ok(isView(withOne, 1, 80, warning), withOne.join("\n"));
    assert.match(withOne.at(-1)!, /^\[11\/20 built, 1 running, 8 waiting, 3\/3 fetched 12\.0 MiB\] \d+s$/);

    terminal.resize(200, 24);
    gates.open("one-running");
    await terminal.screenWhen((seen) => seen.some((row) => row.includes(" 1 failed")));
    gates.open("failed");
    const last = await terminal.screenWhen((seen) => seen.at(-1)!.startsWith("<exit"));
    assert.deepEqual(
      last.map((row) => row.replace(/\d+s$/, "9s")),
      [
        ...warning,
        "error: builder for '/nix/store/0123456789abcdfghijklmnpqrsvwxyz-last.drv' failed with exit code 1",
        "19 built, 1 failed, 3 fetched (12.0 MiB) in 9s",
        "<exit 0>",
      ],
    );
  });

  test("with logs: lines above the view, by name", async () => {
    using gates = gatesFor("twelve-running");
    using terminal = openTmux(`${command} -L`, { columns: 100, rows: 40, env: gates.env });
    const isLast = (seen: readonly string[]) => seen.slice(0, -11).some((row) => row.includes("step 39 of build 11:"));
    const screen = await terminal.screenWhen((seen) => isLast(seen) && isCounts(seen.at(-1)!));
    const view = screen.slice(-11);
    assert.ok(isView(view, 10, 100), screen.join("\n"));
    const above = screen.slice(0, -11).join("\n");
    assert.match(above, /^package-number-11-1\.11> step 39 of build 11: +gcc -O2 -Wall/m);
    assert.doesNotMatch(above, /\[\d+\/20 built/);
  });

  test("killed or crashed: the cursor is there, at the beginning of a line", async () => {
    for (const end of ["kill", "crash"] as const) {
      using gates = gatesFor("one-running");
      using terminal = openTmux(command, { columns: 80, rows: 24, env: { ...gates.env, SILO_TEST_END: end } });
      if (end === "kill") {
        await terminal.screenWhen((seen) => isCounts(seen.at(-1)!));
        terminal.press("C-c");
      }
      const screen = await terminal.screenWhen((seen) => /<exit \d+>$/.test(seen.at(-1)!));
      assert.match(screen.at(-1)!, end === "kill" ? /^(\^C)?<exit 130>$/ : /^<exit 1>$/);
      assert.ok(terminal.cursor().shown);
      // Nobody can clean up after a signal that kills; a crash is told where the view was.
      if (end === "crash") assert.ok(!screen.some(isCounts), screen.join("\n"));
    }
  });
});

describe("where there is no terminal", () => {
  const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const [program, ...first] = runtime;
    const result = spawnSync(program!, [...first, driver, ...args], {
      encoding: "utf8",
      env: { ...process.env, ...env },
    });
    assert.equal(result.status, 0, result.stderr);
    assert.equal(result.stdout, "");
    return result.stderr;
  };

  test("plain lines, as Nix prints them", () => {
    const lines = run([]).split("\n");
    assert.ok(!lines.some(isCounts) && !lines.some((line) => line.includes("\x1b[?")));
    assert.equal(lines.filter((line) => line.startsWith("building '/nix/store/")).length, 20);
    assert.equal(lines.filter((line) => line.startsWith("copying path '/nix/store/")).length, 3);
    assert.equal(lines.filter((line) => /^step \d+ of /.test(line)).length, 480);
    assert.ok(!lines.some((line) => / built/.test(line)));
  });

  test("bar: no builders' lines, or by name", () => {
    assert.doesNotMatch(run(["bar"]), /step|\x1b/);
    assert.match(run(["bar", "-L"]), /^package-number-3-1\.3> step 12 of build 3: \tgcc/m);
  });

  test("internal-json: every line an event; what starts stops", () => {
    const running = new Set<number>();
    const seen = new Map<string, number>();
    for (const line of run(["internal-json"]).trimEnd().split("\n")) {
      assert.ok(line.startsWith("@nix "), line);
      const event = JSON.parse(line.slice(5));
      assert.deepEqual(Object.keys(event), Object.keys(event).sort());
      seen.set(event.action, (seen.get(event.action) ?? 0) + 1);
      if (event.action === "start") running.add(event.id);
      else if (event.action !== "msg") assert.ok(running.has(event.id));
      if (event.action === "stop") running.delete(event.id);
      if (event.text === "") assert.ok(!("fields" in event));
      if (event.level === 0 && event.action === "msg") {
        const text = "builder for '/nix/store/0123456789abcdfghijklmnpqrsvwxyz-last.drv' failed with exit code 1";
        const msg = `\x1b[31;1merror:\x1b[0m ${text}`;
        assert.deepEqual(event, { action: "msg", column: null, file: null, level: 0, line: null, msg, raw_msg: text });
      }
    }
    assert.equal(running.size, 0);
    assert.deepEqual([seen.get("start"), seen.get("stop"), seen.get("msg")], [26, 26, 2]);
  });
});
