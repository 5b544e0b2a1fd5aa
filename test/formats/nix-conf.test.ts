import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SiloError } from "../../src/error.ts";
import { type ByteString, fromText } from "../../src/formats/byte-string.ts";
import {
  BadConf,
  type ConfFile,
  expandNixConf,
  maxIncludeDepth,
  maxIncludes,
  parseNixConf,
  words,
} from "../../src/formats/nix-conf.ts";

const file = fromText("/etc/nix/nix.conf");

function parse(text: string) {
  return parseNixConf(fromText(text), file);
}

function message(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof BadConf);
    return error.message;
  }
  throw new Error("did not throw");
}

/** Expands `main` among files in one directory. */
function expand(files: Readonly<Record<string, string>>) {
  const find = (name: string): ConfFile | undefined =>
    files[name] === undefined ? undefined : { file: fromText(name), text: fromText(files[name]) };
  return expandNixConf(find("main")!, ({ path }) => find(path)).map(
    ({ name, value, file, line }) => `${file}:${line} ${name}=${value}`,
  );
}

test("lines", () => {
  assert.deepEqual(parse("# a comment\n\n cores\t=  3 # three\r\nsubstituters = a   b\n  # indented\nsystem =\n"), [
    { kind: "assignment", name: "cores", value: "3", line: 3 },
    { kind: "assignment", name: "substituters", value: "a b", line: 4 },
    { kind: "assignment", name: "system", value: "", line: 6 },
  ]);
  assert.deepEqual(parse("include a.conf\n!include /b#c"), [
    { kind: "include", path: "a.conf", ifMissing: "fail", line: 1 },
    { kind: "include", path: "/b", ifMissing: "skip", line: 2 },
  ]);
  assert.deepEqual(parse("x = = =#"), [{ kind: "assignment", name: "x", value: "= =", line: 1 }]);
  assert.deepEqual(parse(""), []);
});

test("only Nix's four blanks separate words, and other bytes stay", () => {
  assert.deepEqual(words("\t a\r\n\n b\f\v c\0\xff " as ByteString), ["a", "b\f\v", "c\0\xff"]);
  assert.deepEqual(words("" as ByteString), []);
});

test("illegal lines name file, line and what was expected", () => {
  assert.equal(
    message(() => parse("\ncores=3")),
    `Cannot read "/etc/nix/nix.conf": line 2: illegal configuration line "cores=3", expected "NAME = VALUE" with blanks around the "="`,
  );
  assert.match(
    message(() => parse("cores")),
    /line 1: illegal configuration line "cores"/,
  );
  assert.match(
    message(() => parse("cores =3")),
    /illegal/,
  );
  assert.match(
    message(() => parse("a b = c")),
    /illegal/,
  );
  assert.match(
    message(() => parse("include")),
    /expected "include FILE"/,
  );
  assert.match(
    message(() => parse("!include a b")),
    /expected "!include FILE"/,
  );
  assert.match(
    message(() => parse("include = b")),
    /illegal/,
  );
  assert.ok(message(() => parse("x".repeat(100000))).length < 500);
});

test("an include takes effect where it stands", () => {
  assert.deepEqual(expand({ main: "a = 1\ninclude b\nc = 3", b: "a = 2\n!include nothing\n" }), [
    "main:1 a=1",
    "b:1 a=2",
    "main:3 c=3",
  ]);
});

test("missing and endless includes", () => {
  assert.equal(
    message(() => expand({ main: "\ninclude nothing" })),
    `Cannot read "main": line 2: included file "nothing" not found`,
  );
  assert.match(
    message(() => expand({ main: "!include main" })),
    /more than 20 files deep/,
  );
  const chain = (length: number) =>
    Object.fromEntries(
      Array.from({ length: length + 1 }, (_, i) => [
        i === 0 ? "main" : `f${i}`,
        i === length ? "a = b" : `include f${i + 1}`,
      ]),
    );
  assert.equal(expand(chain(maxIncludeDepth)).length, 1);
  assert.throws(() => expand(chain(maxIncludeDepth + 1)), BadConf);
  // every file doubles the next: 2^20 reads, were they not counted
  const doubling = Object.fromEntries(Object.entries(chain(19)).map(([name, text]) => [name, `${text}\n${text}`]));
  assert.match(
    message(() => expand(doubling)),
    new RegExp(`more than ${maxIncludes} files`),
  );
});

const confText = fc.array(
  fc.oneof(
    fc.constantFrom(
      "cores",
      "substituters",
      "include",
      "!include",
      "=",
      " = ",
      " ",
      "\t",
      "#",
      "\n",
      "\r\n",
      "a",
      "/b",
    ),
    fc.string({ unit: "binary", maxLength: 4 }).map((text) => Buffer.from(text).toString("latin1")),
  ),
  { maxLength: 40 },
);

test("any text gives lines or a typed error, and lines print back to themselves", () => {
  fc.assert(
    fc.property(confText, (parts) => {
      const text = parts.join("") as ByteString;
      try {
        const lines = parseNixConf(text, file);
        const printed = lines.map((line) =>
          line.kind === "assignment"
            ? `${line.name} = ${line.value}`
            : `${line.ifMissing === "skip" ? "!" : ""}include ${line.path}`,
        );
        const again = parseNixConf(printed.join("\n") as ByteString, file);
        assert.deepEqual(
          again.map((line) => ({ ...line, line: 0 })),
          lines.map((line) => ({ ...line, line: 0 })),
        );
      } catch (error) {
        assert.ok(error instanceof SiloError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
