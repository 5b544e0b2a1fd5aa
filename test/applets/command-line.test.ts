/** The grammar of command lines: what is an option, what are its words, what are operands. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type CommandLine, parseCommandLine } from "../../src/applets/command-line.ts";
import type { CommandSpec } from "../../src/applets/command-line/option-spec.ts";
import { UsageError } from "../../src/error.ts";
import { fromText } from "../../src/formats/byte-string.ts";

const spec = {
  name: "example",
  family: "nix",
  summary: "for tests",
  usage: [""],
  examples: [],
  options: {
    query: { letter: "q", help: "" },
    requisites: { letter: "R", aliases: ["closure"], help: "" },
    file: { letter: "f", operands: ["FILE"], help: "" },
    pair: { operands: ["A", "B"], help: "" },
  },
} as const satisfies CommandSpec;

type Option = keyof typeof spec.options;

function parse(...args: string[]): CommandLine<Option> {
  const line = parseCommandLine<Option>(spec, args.map(fromText));
  assert.ok(typeof line === "object", `answered with ${JSON.stringify(line)}`);
  return line;
}

function options(...args: string[]): Record<string, readonly string[]> {
  return Object.fromEntries(parse(...args).given);
}

describe("options", () => {
  test("long names, letters, bundles, aliases, in any place", () => {
    const both = { query: [], requisites: [] };
    for (const args of [
      ["-qR", "x"],
      ["-q", "x", "-R"],
      ["--query", "--requisites", "x"],
      ["x", "--query", "--closure"],
    ]) {
      assert.deepEqual(options(...args), both);
      assert.deepEqual(parse(...args).operands, ["x"]);
    }
    assert.deepEqual([...parse("-R", "x", "-q").given.keys()], ["requisites", "query"]);
  });

  test("words behind an option, whatever they look like", () => {
    assert.deepEqual(options("--file", "-q"), { file: ["-q"] });
    assert.deepEqual(options("--file", "--"), { file: ["--"] });
    assert.deepEqual(options("-f", "", "--file=b=c", "--file", "true"), { file: ["", "b=c", "true"] });
    assert.deepEqual(options("--pair", "1", "2", "--pair", "3", "4"), { pair: ["1", "2", "3", "4"] });
    assert.equal(parse("-f", "a", "-f", "b").last("file"), "b");
    assert.deepEqual(options("-qf", "x"), { query: [], file: ["x"] });
  });

  test("a flag takes nothing from what is behind it", () => {
    for (const word of ["true", "false", "0", "-1", "007", "1e3", "0x10", "", "-", "a=b", "'quoted'", "a.b"]) {
      const line = parse("-q", word, "--requisites", word);
      assert.deepEqual(line.operands, [word, word]);
      assert.deepEqual([...line.given.keys()], ["query", "requisites"]);
    }
  });

  test("-- ends the options", () => {
    const line = parse("-q", "--", "-R", "--", "--frob");
    assert.deepEqual(line.operands, ["-R", "--", "--frob"]);
    assert.deepEqual([...line.given.keys()], ["query"]);
  });

  test("operands are bytes and come back as they were", () => {
    const operand = fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
    fc.assert(
      fc.property(fc.array(operand), (operands) => {
        const line = parseCommandLine(spec, ["-q", "--", ...operands] as never);
        assert.ok(typeof line === "object");
        assert.deepEqual(line.operands, operands);
      }),
    );
  });

  test("any words at all are understood or refused", () => {
    const word = fc.oneof(
      fc.constantFrom(
        "-q",
        "-qR",
        "--file",
        "-f",
        "--pair",
        "--",
        "-",
        "--=",
        "-=",
        "-j",
        "-j4",
        "--option",
        "-.a=",
        "-1",
      ),
      fc.constantFrom(
        "--__proto__",
        "--constructor",
        "--_",
        "--no-query",
        "--query=",
        "-f=x",
        "-qf=3",
        "--a.b.c",
        "-vv",
      ),
      fc.string({ maxLength: 6 }),
      fc.string({ maxLength: 6 }).map((text) => `-${text}`),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (args) => {
        try {
          parseCommandLine(spec, args.map(fromText));
        } catch (error) {
          assert.ok(error instanceof UsageError || (error instanceof Error && "code" in error), String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("options of every command", () => {
  test("verbosity", () => {
    const verbosity = (...args: string[]) => parse(...args).common.verbosity;
    assert.equal(verbosity(), 3);
    assert.equal(verbosity("-v"), 4);
    assert.equal(verbosity("-vvv", "--verbose"), 7);
    assert.equal(verbosity("-vvvvvvvvv"), 7);
    assert.equal(verbosity("--quiet"), 2);
    assert.equal(verbosity("--quiet", "--quiet", "--quiet", "--quiet"), 0);
    assert.equal(verbosity("-v", "--quiet"), 3);
    assert.equal(verbosity("--debug"), 6);
  });

  test("settings, alone and in bundles", () => {
    const assignments = (...args: string[]) =>
      parse(...args).common.assignments.map(({ name, value }) => `${name} = ${value}`);
    assert.deepEqual(assignments("-q", "--option", "cores", "3", "--max-jobs", "2", "x"), [
      "cores = 3",
      "max-jobs = 2",
    ]);
    assert.deepEqual(assignments("-j4", "-j", "5"), ["max-jobs = 4", "max-jobs = 5"]);
    assert.deepEqual(assignments("-qj4"), ["max-jobs = 4"]);
    assert.deepEqual(assignments("-qj", "auto"), ["max-jobs = auto"]);
    assert.deepEqual(assignments("-k", "-K"), ["keep-going = true", "keep-failed = true"]);
    assert.deepEqual(assignments("-qkK"), ["keep-going = true", "keep-failed = true"]);
    assert.deepEqual(assignments("--store", "/x", "--no-sandbox"), ["store = /x", "sandbox = false"]);
    assert.deepEqual(assignments("--file", "--fallback"), []);
  });

  test("what else is said", () => {
    const { common } = parse(
      "-Q",
      "--readonly-mode",
      "--log-format",
      "internal-json",
      "--no-gc-warning",
      "--print-build-trace",
    );
    assert.equal(common.buildOutput, "hidden");
    assert.equal(common.access, "read-only");
    assert.equal(common.logFormat, "internal-json");
    assert.equal(common.gcWarning, "no-warning");
    assert.equal(common.buildTrace, "printed");
    assert.equal(parseCommandLine(spec, [fromText("-q"), fromText("--help")]), "help");
    assert.equal(parseCommandLine(spec, [fromText("--version"), fromText("x")]), "version");
  });
});

test("what is refused, and how", () => {
  const refusals: [args: string[], message: string][] = [
    [["--frob"], "unrecognised flag '--frob'"],
    [["--frob=3"], "unrecognised flag '--frob=3'"],
    [["-z"], "unrecognised flag '-z'"],
    [["-qz"], "unrecognised flag '-z'"],
    [["--no-query"], "unrecognised flag '--no-query'"],
    [["--queryx"], "unrecognised flag '--queryx'"],
    [["--query=yes"], "flag '--query' takes no value"],
    [["--file"], "flag '--file' requires 1 argument(s)"],
    [["x", "-f"], "flag '-f' requires 1 argument(s)"],
    [["--pair", "1"], "flag '--pair' requires 2 argument(s)"],
    [["--log-format", "xml"], "option 'log-format' has an invalid value 'xml'"],
  ];
  for (const [args, message] of refusals) {
    assert.throws(() => parse(...args), { constructor: UsageError, message });
  }
});
