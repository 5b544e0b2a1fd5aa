/**
 * Derivations as stock Nix writes them: for generated expressions, every `.drv` that nix-instantiate makes must come back byte for byte
 * and under the same path, with the output paths that follow from it, and `nix show-derivation` must print the JSON that ours does.
 * Checked against Nix 2.8.0, whose JSON it is.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { type ByteString, decodeBytes, encodeBytes } from "../../src/formats/byte-string.ts";
import type { Derivation, DerivationOutput } from "../../src/formats/derivation/derivation.ts";
import { derivationFile } from "../../src/formats/derivation/derivation-file.ts";
import { createModuloContext } from "../../src/formats/derivation/hash-modulo.ts";
import { checkDerivationOutputs, fillOutputs } from "../../src/formats/derivation/output-paths.ts";
import { parseDerivation } from "../../src/formats/derivation/parse-derivation.ts";
import { parseDerivationsJson } from "../../src/formats/derivation/parse-derivation-json.ts";
import { printDerivation } from "../../src/formats/derivation/print-derivation.ts";
import { printDerivationsJson } from "../../src/formats/derivation/print-derivation-json.ts";
import { hashBytes } from "../../src/formats/hash.ts";
import { derivationName } from "../../src/formats/make-store-path.ts";
import { nameOf, parseStoreDir, parseStorePath, printStorePath, type StorePath } from "../../src/formats/store-path.ts";
import { createRegistrationParser, printRegistrations } from "../../src/formats/validity-registration.ts";
import { arbitraryExpression } from "../support/arbitrary-expression.ts";
import { fixtureTexts, readFixture } from "../support/derivation-fixtures.ts";

const hasNix = spawnSync("nix-instantiate", ["--version"]).status === 0;
const required = process.env["SILO_REQUIRE_PEERS"] === "1";
const skip = hasNix || required ? false : "stock Nix is not installed";

/**
 * A fresh store below a temporary directory, and the tools that work on it. It has its own store directory, or says /nix/store and
 * lies in `root/nix/store`.
 */
function withStore(kind: "own-directory" | "below-root", use: (store: TemporaryStore) => void): void {
  const root = mkdtempSync(join(tmpdir(), "silo-derivation-"));
  try {
    const places =
      kind === "below-root"
        ? { NIX_REMOTE: join(root, "root") }
        : { NIX_STORE_DIR: join(root, "store"), NIX_STATE_DIR: join(root, "state"), NIX_LOG_DIR: join(root, "log") };
    const env = {
      ...places,
      PATH: process.env["PATH"],
      HOME: root,
      NIX_CONF_DIR: join(root, "etc"),
      NIX_CONFIG: "experimental-features = nix-command ca-derivations impure-derivations\nbuild-users-group =",
    };
    const run = (tool: string, args: readonly string[], input: ByteString = "" as ByteString) =>
      decodeBytes(
        execFileSync(tool, args, {
          env,
          input: encodeBytes(input),
          stdio: ["pipe", "pipe", "pipe"],
          maxBuffer: 1 << 28,
        }),
      );
    use({ root, dir: join(root, kind === "below-root" ? "root/nix/store" : "store"), run });
  } finally {
    spawnSync("chmod", ["-R", "u+w", root]);
    rmSync(root, { recursive: true, force: true });
  }
}

interface TemporaryStore {
  readonly root: string;
  /** Where the store objects lie. */
  readonly dir: string;
  /** What the tool prints. Throws when it fails. */
  run(tool: string, args: readonly string[], input?: ByteString): ByteString;
}

test("derivations that nix-instantiate writes", { skip, timeout: 120_000 }, () => {
  fc.assert(
    fc.property(arbitraryExpression, (expression) => {
      withStore("own-directory", (store) => compareDerivations(store, expression));
    }),
    { numRuns: 25, endOnFailure: true },
  );
});

function compareDerivations(store: TemporaryStore, expression: ByteString): void {
  const dir = parseStoreDir(store.dir);
  const file = join(store.root, "x.nix");
  writeFileSync(file, encodeBytes(expression));
  store.run("nix-instantiate", [file]);

  const texts = new Map<StorePath, ByteString>();
  for (const entry of readdirSync(store.dir)) {
    if (entry.endsWith(".drv")) texts.set(parseStorePath(entry), decodeBytes(readFileSync(join(store.dir, entry))));
  }
  assert.ok(texts.size > 0);
  const derivations = new Map(
    Array.from(texts, ([path, text]) => [path, parseDerivation(dir, text, derivationName(path))]),
  );
  const context = createModuloContext(dir, (path) => derivations.get(path)!);
  for (const [path, drv] of derivations) {
    assert.equal(printDerivation(dir, drv), texts.get(path));
    assert.equal(derivationFile(dir, drv).path, path);
    checkDerivationOutputs(context, path, drv);
    assert.deepEqual(fillOutputs(context, emptied(drv)), drv);
  }

  const paths = [...derivations.keys()].map((path) => printStorePath(dir, path));
  const json = store.run("nix", ["show-derivation", ...paths]);
  assert.equal(`${printDerivationsJson(dir, derivations, "nix-2.8")}\n`, json);
  assert.deepEqual(parseDerivationsJson(dir, json), derivations);
}

/** As it was before anybody computed its paths. */
function emptied(drv: Derivation): Derivation {
  const env = new Map([...drv.env].filter(([key]) => !drv.outputs.has(key)));
  const outputs = Array.from(drv.outputs, ([id, output]): [string, DerivationOutput] => {
    return [id, output.kind === "input-addressed" ? { kind: "deferred" } : output];
  });
  return { ...drv, env, outputs: new Map(outputs) };
}

test("the same derivations are refused on registration, for the same reason", { skip, timeout: 120_000 }, () => {
  withStore("below-root", (store) => {
    const nixDir = parseStoreDir("/nix/store");
    mkdirSync(store.dir, { recursive: true });
    // Registered by nobody, but the check reads the files of the inputs.
    const place = (path: StorePath, text: ByteString) => writeFileSync(join(store.dir, path), encodeBytes(text));
    for (const [path, text] of fixtureTexts) place(path, text);
    const context = createModuloContext(nixDir, readFixture);
    let refused = 0;
    for (const [path, text] of fixtureTexts) {
      const drv = readFixture(path);
      const [id, output] = [...drv.outputs][0]!;
      if (output.kind !== "input-addressed" && output.kind !== "fixed") continue;
      const stated = printStorePath(nixDir, output.path);
      const forged = printStorePath(nixDir, parseStorePath(`${"0".repeat(32)}-${nameOf(output.path)}`));
      // Fixed outputs only in the variable, since 2.8 does not look at the path in the text.
      const damaged = (
        output.kind === "fixed"
          ? text.replace(`("${id}","${stated}")`, `("${id}","${forged}")`)
          : text.replaceAll(stated, forged)
      ) as ByteString;
      assert.notEqual(damaged, text);
      place(path, damaged);

      let message = "";
      try {
        checkDerivationOutputs(context, path, parseDerivation(nixDir, damaged, drv.name));
      } catch (error) {
        assert.ok(error instanceof Error);
        message = error.message;
      }
      assert.notEqual(message, "");
      const nar = { hash: hashBytes("sha256", damaged), size: 1 };
      const registration = printRegistrations(nixDir, "with-hash", [
        { path, nar, deriver: undefined, references: new Set<StorePath>() },
      ]);
      assert.throws(
        () => store.run("nix-store", ["--load-db"], registration as ByteString),
        (error: Error) => {
          assert.ok(
            error.message.replaceAll(/\x1b\[[0-9;]*m/g, "").includes(`error: ${message}`),
            `${error.message}\nours: ${message}`,
          );
          return true;
        },
        path,
      );
      place(path, text);
      refused++;
    }
    assert.ok(refused > 5);
  });
});

test("validity registrations that nix-store writes and reads", { skip, timeout: 120_000 }, () => {
  withStore("own-directory", (store) => {
    const dir = parseStoreDir(store.dir);
    const file = join(store.root, "x.nix");
    writeFileSync(
      file,
      `let a = builtins.toFile "a" "x"; in derivation { name = "d"; system = "s"; builder = "b"; inherit a; }`,
    );
    store.run("nix-instantiate", [file]);
    const dump = store.run("nix-store", ["--dump-db"]);
    const parser = createRegistrationParser(dir, "with-hash");
    const items = parser.feed(encodeBytes(dump));
    parser.finish();
    assert.equal(items.length, 2);
    const printed = printRegistrations(dir, "with-hash", items);
    assert.equal(printed, dump);
    rmSync(join(store.root, "state"), { recursive: true });
    assert.equal(store.run("nix-store", ["--dump-db"]), "");
    store.run("nix-store", ["--load-db"], printed as ByteString);
    assert.equal(store.run("nix-store", ["--dump-db"]), dump);
  });
});
