/**
 * Settings as stock Nix understands them: for generated nix.conf files, environments and options, `nix show-config --json`
 * must show what ours does. Checked against Nix 2.8.0.
 */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { SiloError } from "../../src/error.ts";
import { BadConf } from "../../src/formats/nix-conf.ts";
import { applySettingFlags } from "../../src/formats/settings/flags.ts";
import { BadSetting } from "../../src/formats/settings/settings.ts";
import { printSettings, printSettingsJson } from "../../src/formats/settings/show.ts";
import { findSetting } from "../../src/formats/settings/table.ts";
import { unknownSettingWarnings } from "../../src/formats/settings/unknown-settings.ts";
import { directoriesFromEnvironment, type Environment } from "../../src/store/directories.ts";
import { loadSettings } from "../../src/store/load-settings.ts";
import { bytes } from "../support/settings-facts.ts";

const hasNix = spawnSync("nix", ["--version"]).status === 0;
const required = process.env["SILO_REQUIRE_PEERS"] === "1";
const skip = hasNix || required ? false : "stock Nix is not installed";
const caseCount = 250;

/**
 * Not compared. `nix show-config` needs a feature turned on and prints features as numbers, sets pure-eval by itself and
 * nix-path by its environment, and takes build-hook for one path, where later versions take words. As root it has build
 * users by default, silo only where their group exists. As later versions do, silo shows 25 lines of a failed build's log.
 */
const incomparable = new Set([
  "experimental-features",
  "pure-eval",
  "nix-path",
  "build-hook",
  "build-users-group",
  "log-lines",
]);

interface Shown {
  readonly aliases: readonly string[];
  readonly defaultValue: unknown;
  readonly value: unknown;
}
type ShownSettings = Readonly<Record<string, Shown>>;

interface Case {
  readonly system: string;
  readonly included: string;
  readonly user: string;
  readonly inline: string | undefined;
  readonly args: readonly string[];
}

/** What came of a case: values by name and names warned about, or that it was refused. */
type Outcome = { readonly values: Readonly<Record<string, unknown>>; readonly unknown: readonly string[] } | "refused";

function place(root: string, given: Case): Environment {
  for (const dir of ["etc", "home/.config/nix"]) mkdirSync(join(root, dir), { recursive: true });
  writeFileSync(join(root, "etc/nix.conf"), given.system);
  writeFileSync(join(root, "etc/included.conf"), given.included);
  writeFileSync(join(root, "home/.config/nix/nix.conf"), given.user);
  return {
    PATH: process.env["PATH"],
    HOME: join(root, "home"),
    XDG_CONFIG_DIRS: join(root, "xdg"),
    NIX_CONF_DIR: join(root, "etc"),
    NIX_STORE_DIR: join(root, "store"),
    NIX_STATE_DIR: join(root, "state"),
    NIX_LOG_DIR: join(root, "log"),
    ...(given.inline === undefined ? {} : { NIX_CONFIG: given.inline }),
  };
}

function runNix(
  env: Environment,
  args: readonly string[],
): Promise<{ status: number; stdout: string; stderr: string }> {
  const all = ["--extra-experimental-features", "nix-command", "show-config", ...args];
  return new Promise((resolve) => {
    execFile("nix", all, { env: { ...env }, maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : 1, stdout, stderr }),
    );
  });
}

async function askNix(env: Environment, args: readonly string[]): Promise<Outcome> {
  const { status, stdout, stderr } = await runNix(env, ["--json", ...args]);
  if (status !== 0) return "refused";
  const unknown = [...stderr.matchAll(/unknown setting '(.*)'/g)].map((match) => match[1]!);
  return { values: valuesOf(JSON.parse(stdout)), unknown: unknown.sort() };
}

function askOurs(env: Environment, args: readonly string[]): Outcome {
  try {
    const loaded = loadSettings(env, directoriesFromEnvironment(env));
    // 2.8.0 warns of unknown names after reading files, but not of those on its command line
    const warned = unknownSettingWarnings(loaded.settings).map((line) =>
      JSON.parse(/"(?:[^"\\]|\\.)*"/.exec(line)![0]),
    );
    const { settings, rest } = applySettingFlags(loaded.settings, bytes(...args));
    assert.deepEqual(rest, []);
    return { values: valuesOf(JSON.parse(printSettingsJson(settings))), unknown: warned.sort() };
  } catch (error) {
    assert.ok(
      error instanceof BadConf || error instanceof BadSetting,
      error instanceof SiloError ? error.message : String(error),
    );
    return "refused";
  }
}

function valuesOf(shown: ShownSettings): Record<string, unknown> {
  return Object.fromEntries(Object.entries(shown).map(([name, { value }]) => [name, value]));
}

const words = fc
  .array(
    fc.constantFrom("a", "b", "b=2", "a=1", "=", "/x//y", "ssh://é", "true", "relaxed", "auto", "-1", "*", "@g?"),
    {
      maxLength: 4,
    },
  )
  .chain((list) => fc.constantFrom(" ", "  ", "\t", "\r ").map((blank) => list.join(blank)));
const integers = fc.constantFrom(
  ..."0 1 7 05 +3 -1 -0 4294967295 4294967296 9223372036854775807 9223372036854775808 18446744073709551615 18446744073709551616 1e3 0x1 1,0".split(
    " ",
  ),
);
const booleans = fc.constantFrom("true", "false", "yes", "no", "1", "0");

const valueByType: Readonly<Record<string, fc.Arbitrary<string>>> = {
  boolean: fc.oneof({ weight: 40, arbitrary: booleans }, { weight: 1, arbitrary: words }),
  number: fc.oneof({ weight: 8, arbitrary: fc.nat(99999).map(String) }, { weight: 1, arbitrary: integers }),
  object: words,
  string: words,
};

/** Pairs of a name that Nix has, or nobody, and a value that mostly fits. */
function assignments(known: ShownSettings): fc.Arbitrary<readonly [name: string, value: string]> {
  const settable = Object.entries(known).filter(([name]) => !incomparable.has(name) && name !== "plugin-files");
  const ofKnown = fc
    .constantFrom(...settable)
    .chain(([name, { aliases, defaultValue }]) =>
      fc.tuple(
        fc.constantFrom(name, name, ...aliases),
        name === "sandbox"
          ? fc.constantFrom("true", "false", "relaxed")
          : name === "diff-hook"
            ? fc.constantFrom("/a/../b", "", "/c")
            : valueByType[typeof defaultValue]!,
        typeof defaultValue === "object"
          ? fc.constantFrom("", "extra-")
          : fc.constantFrom("", "", "", "", "", "", "extra-"),
      ),
    )
    .map(([name, value, prefix]) => [`${prefix}${name}`, value] as const);
  const ofUnknown = fc.tuple(fc.constantFrom("foo", "Cores", "extra-foo", "max_jobs"), words);
  return fc.oneof({ weight: 12, arbitrary: ofKnown }, { weight: 1, arbitrary: ofUnknown });
}

function cases(known: ShownSettings): fc.Arbitrary<Case> {
  const line = fc.oneof(
    {
      weight: 12,
      arbitrary: fc
        .tuple(
          assignments(known),
          fc.constantFrom(" = ", "\t=\t", " =  ", " = "),
          fc.constantFrom("", " ", "\r", " # note", "#x = y"),
        )
        .map(([[name, value], equals, end]) => `${name}${equals}${value}${end}`),
    },
    { weight: 3, arbitrary: fc.constantFrom("", "# comment", "  ", "!include nothing", "!include included.conf") },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        "include included.conf",
        "include ../etc//included.conf",
        "include nothing",
        "cores=3",
        "a b = c",
        "x",
      ),
    },
  );
  const text = fc.array(line, { maxLength: 6 }).map((lines) => lines.join("\n"));
  const plain = fc.array(
    assignments(known).map(([name, value]) => `${name} = ${value}`),
    { maxLength: 3 },
  );
  // 2.8.0 warns of bad values after --option and goes on; 1.7 and we refuse them, so they do not occur here
  const fits = ([name, value]: readonly [string, string]) => {
    const found = known[name.replace(/^extra-(?!platforms$)/, "")];
    if (found === undefined) return findSetting(name) === undefined;
    if (typeof found.defaultValue === "number") return /^[0-9]{1,6}$/.test(value);
    return typeof found.defaultValue !== "boolean" || /^(true|false)$/.test(value);
  };
  const option = assignments(known)
    .filter(fits)
    .map(([name, value]) => ["--option", name, value]);
  const flag = fc.constantFrom(
    ["--cores", "3"],
    ["--max-jobs", "auto"],
    ["-j", "5"],
    ["--fallback"],
    ["--no-keep-build-log"],
    ["--relaxed-sandbox"],
    ["--no-sandbox"],
    ["--keep-failed"],
    ["--extra-substituters", "u  v"],
    ["--sandbox-paths", " /b /a "],
  );
  return fc.record({
    system: text,
    included: plain.map((lines) => lines.join("\n")),
    user: plain.map((lines) => lines.join("\n")),
    inline: fc.option(
      plain.map((lines) => lines.join("\n")),
      { nil: undefined, freq: 2 },
    ),
    args: fc.array(fc.oneof(option, flag), { maxLength: 3 }).map((args) => args.flat()),
  });
}

/** Runs with files of its own, removed afterwards. */
async function withCase<T>(
  given: Partial<Case>,
  use: (env: Environment, args: readonly string[]) => Promise<T>,
): Promise<T> {
  const root = mkdtempSync(join(tmpdir(), "silo-show-config-"));
  const whole: Case = { system: "", included: "", user: "", inline: undefined, args: [], ...given };
  try {
    return await use(place(root, whole), whole.args);
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** 2.8.0 counts CPUs even where the affinity keeps it from using them. */
function skipCountsOfCpus(theirs: ShownSettings): void {
  if (theirs["cores"]?.defaultValue !== navigator.hardwareConcurrency) incomparable.add("cores").add("max-jobs");
}

test("names, aliases and defaults are Nix's", { skip }, async () => {
  await withCase({}, async (env) => {
    const theirs: ShownSettings = JSON.parse((await runNix(env, ["--json"])).stdout);
    skipCountsOfCpus(theirs);
    const ours: ShownSettings = JSON.parse(
      printSettingsJson(loadSettings(env, directoriesFromEnvironment(env)).settings),
    );
    for (const [name, shown] of Object.entries(theirs)) {
      assert.ok(ours[name] !== undefined, name);
      for (const alias of shown.aliases) assert.ok(ours[name].aliases.includes(alias), alias);
      if (!incomparable.has(name)) assert.deepEqual(ours[name].value, shown.value, name);
      if (!incomparable.has(name)) assert.deepEqual(ours[name].defaultValue, shown.defaultValue, name);
    }
  });
});

test("text is Nix's, line by line", { skip }, async () => {
  const system =
    "max-free = 7\nextra-substituters = b  a\nsandbox = relaxed\naccess-tokens = b=1 a=2\nbash-prompt = é  x";
  await withCase({ system }, async (env) => {
    const { stdout } = await runNix(env, []);
    const ours = printSettings(loadSettings(env, directoriesFromEnvironment(env)).settings);
    const lines = new Set(Buffer.from(ours, "latin1").toString().split("\n"));
    skipCountsOfCpus({ cores: { aliases: [], defaultValue: Number(/^cores = (.*)$/m.exec(stdout)?.[1]), value: 0 } });
    const missing = stdout.split("\n").filter((line) => !lines.has(line) && !incomparable.has(line.split(" ")[0]!));
    assert.deepEqual(missing, []);
  });
});

test(`${caseCount} configurations mean the same`, { skip, timeout: 120_000 }, async () => {
  const known: ShownSettings = await withCase({}, async (env) => JSON.parse((await runNix(env, ["--json"])).stdout));
  skipCountsOfCpus(known);
  const samples = fc.sample(cases(known), { numRuns: caseCount, seed: 20 });
  let refused = 0;
  const check = async (given: Case): Promise<void> => {
    const [theirs, ours] = await withCase(
      given,
      async (env, args) => [await askNix(env, args), askOurs(env, args)] as const,
    );
    const context = JSON.stringify(given);
    if (theirs === "refused" || ours === "refused") {
      assert.equal(typeof ours, typeof theirs, `${context}: Nix ${JSON.stringify(theirs)}`);
      refused++;
      return;
    }
    assert.deepEqual(ours.unknown, theirs.unknown, context);
    for (const [name, value] of Object.entries(theirs.values))
      if (!incomparable.has(name)) assert.deepEqual(ours.values[name], value, `${name}: ${context}`);
  };
  const waiting = samples.values();
  const worker = async () => {
    for (const given of waiting) await check(given);
  };
  await Promise.all([worker(), worker(), worker()]);
  assert.ok(refused > caseCount / 10 && refused < caseCount / 2, `${refused} refused`);
});
