/** nix-hash as users call it, beside stock Nix 2.8.0. */
import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { skipWithoutNix } from "../support/stock-nix.ts";
import { createTempStore, type TempStore } from "../support/temp-store.ts";

const algorithms = ["md5", "sha1", "sha256", "sha512"];

function withFiles(use: (store: TempStore) => void): void {
  const store = createTempStore();
  try {
    mkdirSync(join(store.dir, "tree/sub"), { recursive: true });
    writeFileSync(join(store.dir, "tree/sub/file"), "contents");
    writeFileSync(join(store.dir, "tree/program"), "#!/bin/sh\n", { mode: 0o755 });
    symlinkSync("sub/file", join(store.dir, "tree/link"));
    writeFileSync(join(store.dir, "empty"), "");
    writeFileSync(
      Buffer.concat([Buffer.from(`${store.dir}/`), Buffer.from([0x66, 0xff, 0xfe])]),
      "a name that is not UTF-8",
    );
    use(store);
  } finally {
    store.remove();
  }
}

describe("nix-hash", { skip: skipWithoutNix }, () => {
  test("of files and trees", () => {
    withFiles((store) => {
      const compare = (...args: (string | Buffer)[]) => {
        const [nix, silo] = (["nix", "silo"] as const).map((maker) => store.run(maker, "nix-hash", args));
        assert.deepEqual([silo!.status, String(silo!.stdout)], [nix!.status, String(nix!.stdout)], args.join(" "));
      };
      compare("tree", "empty");
      compare("tree/link");
      compare(Buffer.from([0x66, 0xff, 0xfe]));
      for (const algo of algorithms) {
        for (const form of [[], ["--base32"], ["--truncate"], ["--base32", "--truncate"]]) {
          compare("--type", algo, ...form, "tree", "tree/sub/file");
          compare("--type", algo, ...form, "--flat", "tree/sub/file", "empty", "tree/link");
        }
      }
      compare();
      compare("nonexistent");
      compare("--flat", "nonexistent");
      compare("--flat", "tree");
      compare("--type", "md6", "tree");
      compare("--frob");
      compare("--type");
    });
  });

  test("converting", () => {
    withFiles((store) => {
      const run = (maker: "nix" | "silo", ...args: string[]) =>
        store.run(maker, "nix-hash", args).stdout.toString().trim();
      for (const algo of algorithms) {
        const base16 = run("nix", "--type", algo, "empty");
        const base32 = run("nix", "--type", algo, "--base32", "empty");
        const base64 = Buffer.from(base16, "hex").toString("base64");
        const sri = `${algo}-${base64}`;
        const printed = { base16, base32, base64, sri };
        for (const [form, expected] of Object.entries(printed)) {
          assert.equal(run("silo", "--type", algo, `--${form}`, "empty"), expected);
          for (const from of [base16, base32, base64, sri, `${algo}:${base32}`]) {
            assert.equal(run("silo", "--type", algo, `--to-${form}`, from), expected, `${from} to ${form}`);
          }
          assert.equal(run("silo", `--to-${form}`, sri), expected);
        }
        assert.equal(run("silo", "--type", algo, "--to-base16", base32, base16), `${base16}\n${base16}`);
        assert.equal(run("nix", "--type", algo, "--to-base16", base32, base16), `${base16}\n${base16}`);
      }
      const wrong = store.run("silo", "nix-hash", ["--type", "sha256", "--to-base32", "abc"]);
      assert.deepEqual([wrong.status, wrong.stdout.length], [1, 0]);
      assert.equal(wrong.stderr, `error: Cannot parse hash "abc": wrong length for hash type 'sha256': 3 characters\n`);
    });
  });
});

test("version and help", () => {
  withFiles((store) => {
    assert.equal(String(store.run("silo", "nix-hash", ["--version"]).stdout), "nix-hash (silo) 2.18.0\n");
    const help = String(store.run("silo", "nix-hash", ["--help"]).stdout);
    assert.match(help, /^nix-hash: .*\n\nExamples:\n/);
    for (const option of ["--flat", "--type", "--truncate", "--to-sri", "--option"])
      assert.ok(help.includes(option), option);
    const unknown = store.run("silo", "nix-hash", ["--frob"]);
    assert.equal(unknown.stderr, "error: unrecognised flag '--frob'\nTry 'nix-hash --help' for more information.\n");
  });
});
