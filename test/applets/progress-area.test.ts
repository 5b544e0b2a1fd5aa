/** Lines at the bottom of a terminal: the bytes that keep them there, seen by a terminal that knows just those. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type LiveLine, liveArea, type TerminalSize } from "../../src/applets/progress/live-area.ts";

function lines(...texts: readonly string[]): LiveLine[] {
  return texts.map((text) => ({ text, cells: text.length }));
}

/** Rows that never wrap; those scrolled out are kept. */
class Screen {
  readonly rows: string[] = [""];
  private row = 0;
  private column = 0;

  constructor(private readonly height: number) {}

  write(bytes: Buffer): void {
    for (const [token] of bytes.toString().matchAll(/\x1b\[[?0-9]*[a-zA-Z]|[\s\S]/g)) this.act(token);
  }

  /** Without blank rows at the end, which the cursor has been in. */
  text(): string[] {
    return this.rows.slice(0, this.rows.findLastIndex((row) => row !== "") + 1);
  }

  private top(): number {
    return Math.max(0, this.rows.length - this.height);
  }

  private act(token: string): void {
    if (token === "\r") this.column = 0;
    else if (token === "\n") {
      this.row++;
      this.column = 0; // as a terminal does for programs that know nothing of it
      this.rows[this.row] ??= "";
    } else if (token === "\x1b[K") this.rows[this.row] = this.rows[this.row]!.slice(0, this.column);
    else if (token === "\x1b[B") {
      this.row = Math.min(this.top() + this.height - 1, this.row + 1);
      this.rows[this.row] ??= "";
    } else if (token === "\x1b[J") {
      const first = this.row === this.top() && this.column === 0;
      assert.ok(
        !first || this.rows.slice(this.row).every((row) => row === ""),
        "tmux would keep it all in its history",
      );
      this.rows[this.row] = this.rows[this.row]!.slice(0, this.column);
      this.rows.length = this.row + 1;
    } else if (/^\x1b\[\d+A$/.test(token)) {
      this.row = Math.max(this.top(), this.row - Number(token.slice(2, -1)));
    } else if (token === "\x1b[A") this.row = Math.max(this.top(), this.row - 1);
    else if (token.startsWith("\x1b")) assert.match(token, /^\x1b\[\?2026[hl]$/);
    else {
      const row = this.rows[this.row]!;
      this.rows[this.row] = row.slice(0, this.column).padEnd(this.column) + token + row.slice(this.column + 1);
      this.column++;
    }
  }
}

const size: TerminalSize = { columns: 80, rows: 24 };

describe("live lines", () => {
  test("stay below messages, and leave nothing behind", () => {
    const anyText = fc.string({ minLength: 1, maxLength: 30 }).filter((text) => !/\s/.test(text));
    const step = fc.oneof(
      fc.record({ kind: fc.constant("show" as const), lines: fc.array(anyText, { maxLength: 10 }) }),
      fc.record({ kind: fc.constant("print" as const), text: anyText }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const area = liveArea("wraps");
        const screen = new Screen(size.rows);
        const printed: string[] = [];
        let shown: readonly string[] = [];
        for (const each of steps) {
          if (each.kind === "show") {
            shown = each.lines;
            screen.write(area.replace(lines(...each.lines), size));
          } else {
            printed.push(each.text);
            screen.write(area.printAbove(Buffer.from(`${each.text}\n`), size));
          }
          assert.deepEqual(screen.text(), [...printed, ...shown]);
        }
      }),
    );
  });

  test("nothing is written where nothing changes", () => {
    const area = liveArea("wraps");
    assert.equal(area.replace([], size).length, 0);
    assert.equal(area.printAbove(Buffer.from("x\n"), size).toString(), "x\n");
    area.replace(lines("a", "b"), size);
    assert.equal(area.replace(lines("a", "b"), size).length, 0);
    assert.notEqual(area.replace(lines("a", "b"), { columns: 79, rows: 24 }).length, 0);
  });

  test("every change is one synchronized update that hides nothing and needs nothing undone", () => {
    const area = liveArea("wraps");
    for (const bytes of [
      area.replace(lines("a", "b"), size),
      area.printAbove(Buffer.from("x\n"), size),
      area.replace(lines("c"), size),
      area.replace([], size),
    ]) {
      const text = bytes.toString();
      assert.ok(text.startsWith("\x1b[?2026h") && text.endsWith("\x1b[?2026l"), JSON.stringify(text));
      assert.doesNotMatch(text.slice(8, -8), /\x1b\[\?/);
    }
  });

  const up = (bytes: Buffer) => Number(/\x1b\[(\d+)A/.exec(bytes.toString())?.[1] ?? 0);
  const wide = lines("x".repeat(199), "y".repeat(100), "z");

  test("made narrower, a terminal that wraps has more rows of ours, one that cuts has not", () => {
    for (const [narrowing, rows] of [
      ["wraps", 3 + 2 + 1],
      ["cuts", 3],
    ] as const) {
      const area = liveArea(narrowing);
      area.replace(wide, { columns: 200, rows: 24 });
      assert.equal(up(area.replace(lines("a"), size)), rows, narrowing);
    }
  });

  test("rows that left at the top are ours when they come back, unless something was printed since", () => {
    for (const [message, rows] of [
      ["none", 1 + 4],
      ["one", 1],
    ] as const) {
      const area = liveArea("wraps");
      area.replace(wide, { columns: 200, rows: 24 });
      // Six rows of ours, of which two fit above the cursor.
      assert.equal(up(area.replace(lines("a"), { columns: 80, rows: 3 })), 2);
      if (message === "one") area.printAbove(Buffer.from("m\n"), { columns: 80, rows: 3 });
      assert.equal(up(area.replace(lines("b"), size)), rows);
    }
  });

  test("what somebody else may have written to is left alone", () => {
    const area = liveArea("wraps");
    area.replace(lines("a", "b"), size);
    area.abandon();
    assert.ok(area.isEmpty);
    assert.equal(up(area.replace(lines("c"), size)), 0);
  });
});
