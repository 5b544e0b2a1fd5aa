import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { buildExpression } from "../support/build-expression.ts";
import { busybox, makeDerivation, type PeerStore, skipWithoutBusybox, withPeers } from "../support/peer-stores.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const skip = skipWithoutNix || skipWithoutBusybox;

/** Attributes of one expression; each is realised in a fresh store. */
const cases = `rec {
  ok = mk "ok" "echo hi; echo > $out" {};
  fail = mk "fail" "echo one; echo two >&2; exit 7" {};
  dep = mk "dep" "echo > $out" { x = fail; };
  top = mk "top" "echo > $out" { y = dep; };
  noOutput = mk "no-output" "true" {};
  writable = mk "writable" "echo > $out; ${busybox} chmod 666 $out" {};
  otherSystem = mk "other-system" "true" { system = "foo-linux"; };
  features = mk "features" "true" { requiredSystemFeatures = [ "zz" "aa" ]; };
  refuses = mk "refuses" "echo \${ok} > $out" { allowedReferences = []; };
  badSpecifier = mk "bad-specifier" "echo > $out" { allowedReferences = [ "zork" ]; };
  disallowed = mk "disallowed" "echo \${ok} > $out" { disallowedReferences = [ ok ]; };
  requisites = mk "requisites" "echo \${ok} $out > $out" { allowedRequisites = [ ok ]; };
  cycle = mk "cycle" "echo $dev > $out; echo $out > $dev" { outputs = [ "out" "dev" ]; };
  several = mk "several" "echo a > $out; echo b $out > $dev" { outputs = [ "out" "dev" ]; };
  oddGraph = mk "odd-graph" "echo" { exportReferencesGraph = [ "a" ]; };
  badGraphName = mk "bad-graph-name" "echo" { exportReferencesGraph = [ "a/b" ok ]; };
  foreignGraph = mk "foreign-graph" "echo" { exportReferencesGraph = [ "a" "/etc" ]; };
  wrongHash = mk "wrong-hash" "echo hi > $out" { outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = noHash; };
  wrongTree = mk "wrong-tree" "${busybox} mkdir $out; echo $out > $out/self" { outputHashMode = "recursive"; outputHashAlgo = "sha256"; outputHash = noHash; };
  wrongMd5 = mk "wrong-md5" "echo hi > $out" { outputHashMode = "recursive"; outputHashAlgo = "md5"; outputHash = "00000000000000000000000000000000"; };
  noFile = mk "no-file" "${busybox} mkdir $out" { outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = noHash; };
  fixedFails = mk "fixed-fails" "exit 1" { outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = noHash; };
  messages = mk "messages" "echo '@nix {\\"action\\":\\"msg\\",\\"level\\":1,\\"msg\\":\\"hello\\"}'; echo '@nix {\\"action\\":\\"setPhase\\",\\"phase\\":\\"x\\"}'; printf 'abc\\\\rx\\\\nlast'; echo > $out" {};
  sizes = derivation { name = "sizes"; system = "x86_64-linux"; builder = "${busybox}"; args = [ "sh" "-c" ". ./.attrs.sh; echo too large > \${builtins.placeholder "out"}" ]; __structuredAttrs = true; outputChecks.out.maxSize = 100; };
  closureSizes = derivation { name = "closure-sizes"; system = "x86_64-linux"; builder = "${busybox}"; args = [ "sh" "-c" "echo \${ok} > \${builtins.placeholder "out"}" ]; __structuredAttrs = true; outputChecks.out.maxClosureSize = 100; };
  ownChecks = derivation { name = "own-checks"; system = "x86_64-linux"; builder = "${busybox}"; args = [ "sh" "-c" "echo \${ok} > \${builtins.placeholder "out"}" ]; __structuredAttrs = true; outputChecks.out.allowedReferences = [ "out" ]; };
  slow = mk "slow" "${busybox} sleep 100" {};
  noisy = mk "noisy" "while true; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done" {};
}`;
const expression = `let ${makeDerivation}\n  noHash = "0000000000000000000000000000000000000000000000000000000000000000";\nin ${cases}`;

interface Step {
  readonly attributes: readonly string[];
  readonly flags?: readonly string[];
  /** Behind the derivation's path. */
  readonly outputs?: string;
}

const steps: readonly Step[] = [
  ...Array.from(cases.matchAll(/^ {2}([a-zA-Z0-9]+) = /gm), ([, name]) => ({ attributes: [name!] })).filter(
    ({ attributes: [name] }) => name !== "slow" && name !== "noisy",
  ),
  { attributes: ["top"], flags: ["-k"] },
  { attributes: ["fail"], flags: ["-Q"] },
  { attributes: ["fail"], flags: ["-j0"] },
  { attributes: ["fail"], flags: ["-K"] },
  { attributes: ["top"], flags: ["--dry-run"] },
  { attributes: ["ok", "several"], flags: ["--dry-run"] },
  { attributes: ["ok", "noOutput", "wrongHash"], flags: ["-k", "-j1"] },
  { attributes: ["several"], outputs: "!dev" },
  { attributes: ["several"], outputs: "!zork" },
  { attributes: ["slow"], flags: ["--max-silent-time", "1"] },
  { attributes: ["slow"], flags: ["--timeout", "1"] },
  { attributes: ["noisy"], flags: ["--option", "max-build-log-size", "1000", "-Q"] },
];

function realise(store: PeerStore, maker: "nix" | "silo", { attributes, flags = [], outputs = "" }: Step) {
  const paths = store.instantiate(expression, ...attributes).map((path) => path + outputs);
  const { status, stdout, stderr } = store.run(maker, ["--realise", ...flags, ...paths]);
  return { status, stdout, stderr, rows: store.rows() };
}

describe("nix-store --realise does, prints and registers what Nix does", { skip }, () => {
  for (const sandbox of ["false", "true"] as const) {
    for (const step of steps) {
      const name = `${step.attributes.join(" ")}${step.outputs ?? ""} ${(step.flags ?? []).join(" ")}`.trim();
      test(`${sandbox === "true" ? "sandboxed: " : ""}${name}`, () => {
        const [nix, silo] = withPeers((store, maker) => realise(store, maker, step), `sandbox = ${sandbox}\n`);
        // Outputs are still in the sandbox when Nix looks at them.
        const stderr = nix.stderr.replaceAll(/[^ ']*\.drv\.chroot(?=\/)/g, "").replace("run 'nix log", "run 'silo log");
        assert.deepEqual(silo, { ...nix, stderr });
      });
    }
  }

  test("paths that nobody can make", () => {
    const [nix, silo] = withPeers((store, maker) => {
      const path = `${store.env["NIX_STORE_DIR"]}/${"a".repeat(32)}-x`;
      return [[path], [`${path}.drv`], [path, `${path}.drv`], ["--ignore-unknown", path]].map((args) =>
        store.run(maker, ["--realise", ...args]),
      );
    });
    assert.deepEqual(silo, nix);
  });

  test("check", () => {
    const [nix, silo] = withPeers((store, maker) => {
      const text = `let ${makeDerivation} in rec { same = mk "same" "echo > $out" {}; other = mk "other" "${busybox} head -c 8 /dev/urandom > $out" {}; }`;
      const [same, other] = store.instantiate(text, "same", "other");
      const run = (...args: string[]) => {
        const { status, stderr } = store.run(maker, args);
        return { status, stderr };
      };
      return [
        run("--realise", "--check", same!),
        run("--realise", same!, other!),
        run("--realise", "--check", same!),
        run("--realise", "--check", other!),
        run("--realise", "--check", "-K", other!),
      ];
    });
    assert.deepEqual(silo, nix);
  });
});

describe("generated derivations", { skip }, () => {
  const count = process.env["SILO_LONG"] === "1" ? 400 : 120;
  for (const sandbox of ["false", "true"] as const) {
    test(`${count} of every kind, ${sandbox === "true" ? "sandboxed" : "not sandboxed"}`, () => {
      const seed = 7 + count;
      const [nix, silo] = withPeers((store, maker) => {
        const paths = store.instantiate(buildExpression(seed, count));
        const { status } = store.run(maker, ["--realise", "-k", "-j2", "-Q", "--no-gc-warning", ...paths], {
          NIX_BUILD_CORES: "7",
        });
        const rows = store.rows();
        const check = store.run("nix", ["--verify", "--check-contents"]);
        return { status, rows, verified: check.status };
      }, `sandbox = ${sandbox}\ncores = 3\n`);
      assert(nix.rows["paths"]!.length > count * 1.5, "most derivations should have been built");
      assert.deepEqual(silo, nix);
    });
  }
});
