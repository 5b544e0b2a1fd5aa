/** Which way of talking is chosen. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogFormat } from "../../src/applets/command-line/common-options.ts";
import { chooseTalk, frameStyle } from "../../src/applets/progress/talk.ts";

type Row = readonly [
  format: LogFormat | undefined,
  flag: "-L" | "-Q" | "",
  where: "terminal" | "terminal in CI" | "pipe",
  form: "plain" | "live" | "internal-json",
  output: "raw-lines" | "named-lines" | "only-of-failures",
];

const rows: readonly Row[] = [
  [undefined, "", "pipe", "plain", "raw-lines"],
  [undefined, "-L", "pipe", "plain", "raw-lines"],
  [undefined, "-Q", "pipe", "plain", "only-of-failures"],
  [undefined, "", "terminal", "live", "only-of-failures"],
  [undefined, "-L", "terminal", "live", "named-lines"],
  [undefined, "-Q", "terminal", "live", "only-of-failures"],
  [undefined, "", "terminal in CI", "plain", "raw-lines"],
  ["bar", "", "terminal in CI", "live", "only-of-failures"],
  ["raw", "", "terminal", "plain", "raw-lines"],
  ["raw-with-logs", "", "terminal", "plain", "raw-lines"],
  ["bar", "", "pipe", "plain", "only-of-failures"],
  ["bar", "-L", "pipe", "plain", "named-lines"],
  ["bar-with-logs", "", "pipe", "plain", "named-lines"],
  ["bar-with-logs", "-Q", "terminal", "live", "only-of-failures"],
  ["internal-json", "", "terminal", "internal-json", "raw-lines"],
  ["internal-json", "-Q", "pipe", "internal-json", "only-of-failures"],
];

test("the way of talking", () => {
  for (const row of rows) {
    const [logFormat, flag, where, form, builderOutput] = row;
    const talk = chooseTalk(
      { logFormat, buildLogs: flag === "-L" ? "wanted" : "as-usual", buildOutput: flag === "-Q" ? "hidden" : "shown" },
      where === "terminal in CI" ? { CI: "true" } : {},
      where === "pipe" ? "no" : "yes",
    );
    assert.deepEqual(talk, { form, builderOutput }, row.join(" "));
  }
});

test("CI, NO_COLOR and the locale", () => {
  const flags = { logFormat: undefined, buildLogs: "as-usual", buildOutput: "shown" } as const;
  const forms = ["1", "true", "woodpecker", "", "0", "false"].map((CI) => chooseTalk(flags, { CI }, "yes").form);
  assert.deepEqual(forms, ["plain", "plain", "plain", "live", "live", "live"]);
  assert.deepEqual(frameStyle({ NO_COLOR: "1", LANG: "de_DE.UTF-8" }), { colours: "off", cut: "…" });
  assert.deepEqual(frameStyle({ NO_COLOR: "", LANG: "de_DE.UTF-8", LC_ALL: "C" }), { colours: "on", cut: "..." });
});
