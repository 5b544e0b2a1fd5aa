import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { buildExpression } from "../support/build-expression.ts";
import {
  busybox,
  type Maker,
  makeDerivation,
  type PeerStore,
  skipWithoutBusybox,
  withPeerStore,
  withPeers,
} from "../support/peer-stores.ts";
import { deleteTree } from "../../src/sys/delete-tree.ts";
import { siloProgram } from "../support/silo-binary.ts";
import { skipWithout, skipWithoutNix } from "../support/stock-nix.ts";

const skipWithoutUsers = process.getuid?.() === 0 ? skipWithout("unshare", "--version") : "only root has build users";
const secretKey = "key-1:qN4fWRwOSkHGWqRHbru6SPEEASFRitIxlUY7NHyIB0QfAxE/nJvUtbu1P959IwrP4MVNufLV0/CE/bPCQMCxmg==";
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
  oneGraph = derivation { name = "one-graph"; system = "x86_64-linux"; builder = "${busybox}"; args = [ "sh" "-c" "${busybox} cat .attrs.json > \${builtins.placeholder "out"}" ]; __structuredAttrs = true; exportReferencesGraph."a b" = ok; };
  homeless = mk "homeless" "cd /; ${busybox} rm -r $NIX_BUILD_TOP; exit 3" {};
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

describe("what is made of outputs", { skip }, () => {
  const text = `let ${makeDerivation} in rec {
    a = mk "a" "${busybox} mkdir $out; echo same > $out/x; echo same > $out/y; ${busybox} ln -s x $out/z" {};
    b = mk "b" "${busybox} mkdir $out; echo same > $out/x; echo \${a} > $out/r" {};
  }`;

  test("signatures by secret keys, and shared files", () => {
    const [nix, silo] = withPeers((store, maker) => {
      const key = join(store.dir, "secret");
      writeFileSync(key, secretKey);
      const flags = ["--option", "secret-key-files", key, "--option", "auto-optimise-store", "true"];
      const [b] = store.instantiate(text, "b");
      const { status } = store.run(maker, ["--realise", ...flags, b!]);
      const shared = readdirSync(join(store.env["NIX_STORE_DIR"]!, ".links"));
      const links = shared.map((name) => [name, lstatSync(join(store.env["NIX_STORE_DIR"]!, ".links", name)).nlink]);
      return { status, rows: store.rows(), links: links.sort() };
    });
    assert.match(String(nix.rows["paths"]!.find(([path]) => String(path).endsWith("-b"))![5]), /^key-1:/);
    assert.deepEqual(silo, nix);
  });

  test("hooks around the build", () => {
    const [nix, silo] = withPeers((store, maker) => {
      const program = (name: string, script: string) => {
        const file = join(store.dir, name);
        writeFileSync(file, `#!${busybox} sh\n${script}\n`, { mode: 0o755 });
        return file;
      };
      const after = program("after", `echo "$DRV_PATH"`);
      const diff = program("diff", `echo "$1 $2 $3"`);
      const [a] = store.instantiate(text, "a");
      const built = store.run(maker, ["--realise", "--option", "post-build-hook", after, a!]);
      const out = built.stdout.trim();
      const other = store.instantiate(
        `let ${makeDerivation} in mk "other" "${busybox} head -c 8 /dev/urandom > $out" {}`,
      );
      const flags = ["--option", "run-diff-hook", "true", "--option", "diff-hook", diff];
      store.run(maker, ["--realise", other[0]!]);
      const checked = store.run(maker, ["--realise", "--check", ...flags, other[0]!]);
      const failing = program("failing", "exit 3");
      const failed = store.run(maker, ["--realise", "--check", "--option", "post-build-hook", failing, a!]);
      return { built, out, checked, failed: failed.status };
    });
    assert.deepEqual(silo, nix);
  });

  test("by build users, who own what they make", { skip: skipWithoutUsers }, () => {
    const users = makeUsers();
    try {
      const script = `echo $(${busybox} id -u) $(${busybox} id -g) $(${busybox} stat -c %U:%G:%a .) > $out; (${busybox} sleep 30 </dev/null >/dev/null 2>&1 &) ; echo done`;
      const expression = `let ${makeDerivation} in { mine = mk "mine" "${script}" {}; linked = mk "linked" "${busybox} mkdir $out; ${busybox} ln /etc/passwd $out/passwd" {}; }`;
      const [nix, silo] = withPeers((store, maker) => {
        const paths = store.instantiate(expression, "mine", "linked");
        const result = realiseWithUsers(users, store, maker, ["-k", "-Q", ...paths]);
        const owners = store.rows()["paths"]!.map(([path]) => statSync(String(path)).uid);
        // Killed ones may stay as zombies where nobody reaps them.
        const left = spawnSync("pgrep", ["-u", "30001,30002", "-r", "S,R,D"]).stdout.toString();
        return { status: result.status, rows: store.rows(), owners, left };
      }, "build-users-group = silobld\n");
      assert.equal(silo.left, "");
      assert.equal(silo.rows["paths"]!.length, 3, "one of two should have been built");
      assert.deepEqual(silo, nix);
    } finally {
      deleteTree(users);
    }
  });
});

describe("repairing does, prints and registers what Nix does", { skip }, () => {
  const text = `let ${makeDerivation} in rec {
    base = mk "base" "echo base > $out" {};
    tree = mk "tree" "${busybox} mkdir -p $out/sub; echo \${base} $out > $out/sub/file" {};
    fails = mk "fails" "[ $NIX_BUILD_CORES = 7 ] && exit 3; echo > $out" {};
  }`;
  const damages: Readonly<Record<string, (path: string) => void>> = {
    changed: (path) => {
      spawnSync("chmod", ["-R", "u+w", path]);
      writeFileSync(lstatSync(path).isDirectory() ? join(path, "sub/file") : path, "damaged");
    },
    missing: deleteTree,
  };
  for (const sandbox of ["false", "true"]) {
    for (const [how, damage] of Object.entries(damages)) {
      test(`what is ${how}, ${sandbox === "true" ? "sandboxed" : "not sandboxed"}`, () => {
        const [nix, silo] = withPeers((store, maker) => {
          const [base, tree, fails] = store.instantiate(text, "base", "tree", "fails");
          const [outBase, outTree, outFails] = store
            .run("nix", ["--realise", base!, tree!, fails!])
            .stdout.trim()
            .split("\n");
          const steps = [
            { damaged: [outTree], args: ["-r", "--repair", tree] },
            { damaged: [outBase], args: ["-r", "--repair", tree] },
            { damaged: [outBase, outTree], args: ["-r", "--repair", tree] },
            { damaged: [outBase], args: ["--repair-path", outBase] },
            { damaged: [], args: ["-r", "--repair", tree, base] },
            ...(how === "changed" ? [{ damaged: [outBase], args: ["--verify", "--check-contents", "--repair"] }] : []),
            { damaged: [outFails], args: ["-r", "--repair", "--cores", "7", fails] },
          ];
          const results = steps.map(({ damaged, args }) => {
            for (const path of damaged) damage(path!);
            return store.run(maker, args as string[]);
          });
          return { results, rows: store.rows() };
        }, `sandbox = ${sandbox}\n`);
        assert.deepEqual(silo, nix);
      });
    }
  }
});

/** Files to be seen as /etc/passwd and /etc/group, in a directory. */
function makeUsers(): string {
  const users = mkdtempSync(join(tmpdir(), "silo-users-"));
  writeFileSync(
    join(users, "passwd"),
    "root:x:0:0::/root:/bin/sh\nsilobld1:x:30001:30000::/:/bin/false\nsilobld2:x:30002:30000::/:/bin/false\n",
  );
  writeFileSync(join(users, "group"), "root:x:0:\nsilobld:x:30000:silobld1,silobld2\nextra:x:30100:silobld1\n");
  return users;
}

function realiseWithUsers(users: string, store: PeerStore, maker: Maker, args: readonly string[]) {
  const program = maker === "silo" ? siloProgram("nix-store") : "nix-store";
  const mounts = `mount --bind ${users}/passwd /etc/passwd && mount --bind ${users}/group /etc/group && chmod 755 ${store.dir} && chmod 1777 ${store.dir}/tmp && exec "$@"`;
  const command = ["-m", "sh", "-c", mounts, "sh", program, "--realise", ...args];
  return spawnSync("unshare", command, { env: { ...store.env } });
}

describe("build users", { skip: skip || skipWithoutUsers }, () => {
  async function withUsers(use: (users: string, store: PeerStore) => void): Promise<void> {
    const users = makeUsers();
    try {
      await withPeerStore((store) => use(users, store), "build-users-group = silobld\n");
    } finally {
      deleteTree(users);
    }
  }

  test("do not lead silo through a link in the place of the directory that is kept", () =>
    withUsers((users, store) => {
      const script = `cd ..; ${busybox} mv $NIX_BUILD_TOP moved; ${busybox} ln -s ${users} $NIX_BUILD_TOP; exit 3`;
      const [path] = store.instantiate(`let ${makeDerivation} in mk "links" "${script}" {}`);
      assert.equal(realiseWithUsers(users, store, "silo", ["-K", path!]).status, 100);
      assert.equal(statSync(users).mode & 0o777, 0o700);
      assert.deepEqual(readdirSync(join(store.dir, "tmp")).sort(), ["moved", "nix-build-links.drv-0"]);
    }));

  test("hand on no open file of a fixed output: what is registered is a copy", () =>
    withUsers((users, store) => {
      const digest = createHash("sha256").update("fixed\n").digest("hex");
      const fixed = `outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = "${digest}";`;
      const script = `echo fixed > $out; ${busybox} stat -c inode-%i $out`;
      const [path] = store.instantiate(`let ${makeDerivation} in mk "fixed" "${script}" { ${fixed} }`);
      const { stdout, stderr, status } = realiseWithUsers(users, store, "silo", [path!]);
      assert.equal(status, 0, stderr.toString());
      const [, inode] = /^inode-([0-9]+)$/m.exec(stderr.toString())!;
      const output = stdout.toString().trim();
      assert.notEqual(statSync(output).ino, Number(inode));
      assert.equal(readFileSync(output, "utf8"), "fixed\n");
      assert.equal(store.run("nix", ["--verify", "--check-contents"]).status, 0);
    }));
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
