/** What nix-store answers, by stock Nix 2.8.0 and by silo, on the same generated stores. Standard output is compared byte for byte. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { fillStore, type GeneratedStore, randomNumbers } from "../support/generated-store.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";
import { createTempStore, type RunOptions, type TempStore, withTempStores } from "../support/temp-store.ts";

const queries = [
  "--outputs",
  "--requisites",
  "-R",
  "--requisites --include-outputs",
  "--references",
  "--referrers",
  "--referers",
  "--referrers-closure",
  "--referers-closure",
  "--deriver",
  "-d",
  "--tree",
  "--graph",
  "--graphml",
  "--hash",
  "--size",
  "--resolve",
  "--use-output --requisites",
  "-u --references",
  "-u --referrers",
  "-u --hash",
  "-u --graph",
  "-u --graphml",
  "--binding text",
  "-b inputs",
  "-b nothing",
];

/** The same arguments to both: output and status must be the same, and the last line of errors where one is given. */
function compare(
  store: TempStore,
  args: readonly string[],
  options: RunOptions & { readonly errors?: "same" | "any" } = {},
): void {
  const nix = store.run("nix", "nix-store", args, options);
  const silo = store.run("silo", "nix-store", args, options);
  const shown = `nix-store ${args
    .map((arg) => arg.slice(0, 100))
    .join(" ")
    .slice(0, 400)}`;
  assert.equal(silo.stdout.toString("latin1"), nix.stdout.toString("latin1"), shown);
  assert.equal(silo.status, nix.status, `${shown}: ${silo.stderr}`);
  if (options.errors !== "any") assert.equal(silo.stderr, nix.stderr, shown);
}

describe("nix-store on a store that both read", { skip: skipWithoutNix }, () => {
  for (const [seed, size] of [
    [1, 0],
    [2, 6],
    [3, 40],
  ] as const) {
    test(`queries: ${size} derivations`, () => {
      withTempStores(["own-directory"], (store) => {
        const generated = size === 0 ? { valid: [], derivations: [], invalid: [] } : fillStore(store, seed, size);
        compareQueries(store!, generated, seed);
      });
    });
  }

  function compareQueries(store: TempStore, { valid, derivations, invalid }: GeneratedStore, seed: number): void {
    const random = randomNumbers(seed);
    const some = (from: readonly string[], count: number) =>
      from.length === 0 ? [] : Array.from({ length: count }, () => from[random(from.length)]!);
    for (const query of queries) {
      const args = ["-q", ...query.split(" ")];
      const operandLists = valid.length === 0 ? [[]] : [valid, some(valid, 3), some(derivations, 3)];
      for (const operands of operandLists) {
        compare(store, [...args, ...operands], { errors: query.includes("b ") ? "any" : "same" });
      }
      // Stock Nix cannot make these valid and says so after looking for them elsewhere.
      compare(store, [...args, ...some(valid, 1), ...some(invalid, 1)], { errors: "any" });
    }
    for (const drv of some(derivations, 5)) compare(store, ["--print-env", drv]);
    compare(store, ["--dump-db"]);
    compare(store, ["--dump-db", ...some(valid, 5)]);
    compare(store, ["--check-validity", ...valid]);
    compare(store, ["--check-validity", ...some(valid, 2), ...invalid]);
    compare(store, ["--check-validity", "--print-invalid", ...some(valid, 2), ...invalid]);
    if (valid.length > 0) {
      compare(
        store,
        [
          "-q",
          "--force-realise",
          ...some(
            valid.filter((path) => !path.endsWith(".drv")),
            2,
          ),
        ],
        {},
      );
      compare(
        store,
        [
          "-q",
          "-u",
          "-f",
          "--hash",
          ...some(
            valid.filter((path) => !path.endsWith(".drv")),
            2,
          ),
        ],
        {},
      );
    }
  }

  test("arguments lead to store paths as in Nix", () => {
    withTempStores(["own-directory"], (store) => {
      const file = join(store!.dir, "tree");
      mkdirSync(join(file, "sub"), { recursive: true });
      writeFileSync(join(file, "sub/file"), "contents");
      const path = store!.output("nix", ["--add", file]).trim();
      symlinkSync(path, join(store!.dir, "link"));
      symlinkSync("link", join(store!.dir, "second"));
      symlinkSync(`${path}/sub/file`, join(store!.dir, "into"));
      symlinkSync("loop", join(store!.dir, "loop"));
      symlinkSync("nowhere", join(store!.dir, "dangling"));
      mkdirSync(join(store!.dir, "beside"));
      symlinkSync("../store/../link", join(store!.dir, "beside/up"));
      const spellings = [
        ...[
          "link",
          "./link",
          "second",
          "into",
          "beside/up",
          "beside/../link",
          ".//link/",
          "link/sub",
          "beside",
          "tree",
        ],
        ...["dangling", "nonexistent", "tree/nonexistent", ".", "", "/", store!.storeDir, `${store!.storeDir}/`],
        ...[path, `${path}/`, `${path}/sub/file`, `${path}//sub/../../${path.slice(path.lastIndexOf("/") + 1)}`],
        ...[`${store!.storeDir}/.links`, `${path}/../../link`],
      ];
      for (const spelling of spellings) compare(store!, ["-q", "--resolve", spelling], { errors: "any" });
      compare(store!, ["-q", "--hash", ...spellings.slice(0, 4)]);
      compare(store!, ["-qR", "second"], { cwd: join(store!.dir) });
      compare(store!, ["-q", "--hash", "../link"], { cwd: join(store!.dir, "beside") });
      const { status, stderr } = store!.run("silo", "nix-store", ["-q", "loop"]);
      assert.equal(status, 1);
      assert.match(stderr, /^error: .*Too many levels of symbolic links\n$/);
    });
  });

  test("command lines", () => {
    withTempStores(["own-directory"], (store) => {
      const lines = [
        ...["", "-q", "-q -l", "-q --tree --graph", "-q --tree --tree", "-q --frobnicate"],
        ...["--dump", "--dump a b", "--restore", "--restore a b", "--import x", "--load-db x", "--init x", "--init"],
        ...["--verify x", "--optimise x", "--optimize x", "--print-env", "--print-env a b", "-q --binding"],
        ...["--print-fixed-path", "--print-fixed-path a", "--add-fixed", "--add-fixed md6 x", "--add", "--export"],
        ...["--generate-binary-cache-key x", "--check-validity", "--verify-path", "--read-log", "-l", "--dump-db"],
        ...["-qj4", "-qj 3", "-j3 -q", "-q -vvv --quiet --quiet --quiet --quiet", "-qQ", "-qkK", "-q --max-jobs"],
        ...["-q --option cores 3", "--option keep-going true -q", "-q --cores 2 --timeout 3 --max-silent-time 4"],
        ...[
          "-q --keep-going --keep-failed --fallback --readonly-mode",
          "-q --no-build-output",
          "--query --log-format raw",
        ],
        ...["-q --store foo", "-q --no-gc-warning", "-q --add-root x", "-q --add-root", "-q --indirect", "-A", "-r -q"],
      ];
      for (const line of lines) {
        compare(
          store!,
          line.split(" ").filter((word) => word !== ""),
          { errors: /vvv|(--max-jobs|--add-root)$|--store/.test(line) ? "any" : "same" },
        );
      }
      compare(store!, ["-q", "--option", "cores"], { errors: "any" });
      compare(store!, ["--dump-db", "--", "-x"], { errors: "any" });
    });
  });

  test("fixed paths", () => {
    withTempStores(["own-directory"], (store) => {
      const digests = {
        md5: "d41d8cd98f00b204e9800998ecf8427e",
        sha1: "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        sha512:
          "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
      };
      for (const [algo, digest] of Object.entries(digests)) {
        for (const flags of [[], ["--recursive"]]) {
          compare(store!, ["--print-fixed-path", ...flags, algo, digest, `empty-${algo}`]);
        }
        compare(store!, ["--print-fixed-path", algo, Buffer.from(digest, "hex").toString("base64"), "name"]);
        compare(store!, ["--print-fixed-path", algo, `${algo}:${digest}`, "name"]);
        compare(store!, ["--print-fixed-path", algo, digest.slice(1), "name"], { errors: "any" });
      }
      compare(store!, ["--print-fixed-path", "sha256", digests.sha256, "not/a name"], { errors: "any" });
      compare(store!, ["--print-fixed-path", "sha256", digests.sha1, "name"], { errors: "any" });
      compare(store!, ["--print-fixed-path", "sha256", `sha1:${digests.sha1}`, "name"], { errors: "any" });
    });
  });

  test("logs, plain and compressed, by shard and flat", () => {
    const store = createTempStore();
    try {
      const { derivations, valid } = fillStore(store, 5, 8);
      const texts = [
        "",
        "one line\n",
        "no newline at the end",
        "bytes \xff\x00\n".repeat(20_000),
        "aaaa".repeat(300_000),
      ];
      derivations.forEach((drv, i) => {
        const base = drv.slice(store.storeDir.length + 1);
        const shard = `${store.env["NIX_LOG_DIR"]}/drvs/${base.slice(0, 2)}/${base.slice(2)}`;
        const log = i % 3 === 2 ? `${store.env["NIX_LOG_DIR"]}/drvs/${base}` : shard;
        mkdirSync(dirname(log), { recursive: true });
        const text = Buffer.from(texts[i % texts.length]!, "latin1");
        if (i === 7) return; // has no log
        if (i % 2 === 0) writeFileSync(log, text);
        else writeFileSync(`${log}.bz2`, execFileSync("bzip2", ["-c"], { input: text }));
      });
      for (const drv of derivations) compare(store, ["--read-log", drv]);
      for (const path of valid.slice(0, 10)) compare(store, ["-l", path]);
      compare(store, ["-l", ...derivations]);
    } finally {
      store.remove();
    }
  });
});
