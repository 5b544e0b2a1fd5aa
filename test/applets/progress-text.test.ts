/** Columns of texts, and what is left of a builder's output when it may do nothing to the terminal. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { cellWidth, cutToCells } from "../../src/applets/progress/cell-width.ts";
import { colouredText, visibleText } from "../../src/applets/progress/visible-text.ts";
import { plainText } from "../../src/formats/plain-text.ts";

describe("columns", () => {
  test("of narrow, wide and combining characters", () => {
    for (const [text, cells] of [
      ["", 0],
      ["abc", 3],
      ["é", 1],
      ["e\u0301", 1],
      ["日本語", 6],
      ["한국", 4],
      ["🚀", 2],
      ["ｆｕｌｌ", 8],
      ["ﾊﾝｶｸ", 4],
      ["ñ…—", 3],
      ["\u{20000}", 2],
    ] as const) {
      assert.equal(cellWidth(text), cells, text);
    }
  });

  test("a cut text fits, and one that fits is not cut", () => {
    assert.equal(cutToCells("日本語", 5, "…"), "日本…");
    assert.equal(cutToCells("日本語", 4, "…"), "日…");
    assert.equal(cutToCells("abcdef", 5, "..."), "ab...");
    assert.equal(cutToCells("abcdef", 2, "..."), "..");
    assert.equal(cutToCells("abcdef", 0, "..."), "");
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 0, max: 30 }), (text, cells) => {
        const cut = cutToCells(text, cells, "...");
        assert.ok(cellWidth(cut) <= cells);
        if (cellWidth(text) <= cells) assert.equal(cut, text);
      }),
    );
  });
});

describe("what builders print", () => {
  test("in the view: only characters that have a place", () => {
    for (const [text, visible] of [
      ["  plain  ", "plain"],
      ["\x1b[1;31mred\x1b[0m", "red"],
      ["\x1b]8;;http://x\x1b\\link\x1b]8;;\x07", "link"],
      ["\x1b]0;no end", ""],
      ["a\tb\bc\x07\x7f\x9b", "a bc"],
      ["\x1b[2J\x1b[Htop\x1b(B\x1bM", "top"],
      ["right\u202eleft\u200b\u2066", "rightleft"],
      ["\x1b", ""],
    ] as const) {
      assert.equal(visibleText(text), visible, JSON.stringify(text));
    }
  });

  test("above the view: colours at most, ended where the line ends", () => {
    assert.equal(colouredText("plain\tline"), "plain\tline");
    assert.equal(colouredText("\x1b[31mred\x1b[2J\x07\x00"), "\x1b[31mred\x1b[0m");
    assert.equal(colouredText("\x1b]0;title\x07x"), "x");
    assert.equal(plainText("\x1b[31mred\x1b[0m\x1b[K\tb"), "red\tb");
  });

  test("nothing else gets through", () => {
    const nasty = fc
      .array(
        fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("\x1b", "\x1b[", "31m", "\x1b]", "\x07", "\x1b[1m")),
      )
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(nasty, (text) => {
        const line = Buffer.from(text, "utf8").toString("latin1");
        assert.doesNotMatch(visibleText(text), /[\p{Cc}\p{Cf}]/u);
        assert.doesNotMatch(plainText(line), /[\x00-\x08\x0a-\x1f\x7f]/);
        assert.doesNotMatch(colouredText(line).replace(/\x1b\[[0-9;:]*m/g, ""), /[\x00-\x08\x0a-\x1f\x7f]/);
      }),
    );
  });
});
