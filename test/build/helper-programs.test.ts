/** The compiled program and the programs of Nix 1.7 that help it: the build hook and substituters. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { busybox, makeDerivation, type PeerStore, skipWithoutBusybox, withPeerStore } from "../support/peer-stores.ts";
import { siloProgram } from "../support/silo-binary.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const skip = skipWithoutNix || skipWithoutBusybox;

/** A shell script as a program. */
function script(store: PeerStore, name: string, text: string): string {
  const file = join(store.dir, name);
  writeFileSync(file, `#!${busybox} sh\n${text}`);
  chmodSync(file, 0o755);
  return file;
}

describe("the build hook of Nix 1.7", { skip }, () => {
  const text = `let ${makeDerivation} in rec { a = mk "a" "echo here > $out" { requiredSystemFeatures = [ "kvm" ]; system-features = ""; }; b = mk "b" "echo \${a} > $out" {}; here = mk "here" "echo here > $out" { preferLocalBuild = true; }; }`;

  /** Asks are written to a file; the rest says what to do. */
  const hookText = (store: PeerStore, rest: string) => `
echo "argv $*" >> ${store.dir}/asked
while read -r willing system drv features; do
  echo "$willing $system \${drv##*/} $features" >> ${store.dir}/asked
${rest}
done`;
  const asked = (store: PeerStore) => readFileSync(join(store.dir, "asked"), "latin1").replaceAll(/[a-z0-9]{32}-/g, "");

  test("declines, and is asked for each build", () =>
    withPeerStore((store) => {
      const [b] = store.instantiate(text, "b");
      const hook = script(store, "hook", hookText(store, `echo "talks" >&2; echo "# decline" >&2`));
      const result = store.run("silo", ["--realise", "--option", "system-features", "kvm", b!], {
        NIX_BUILD_HOOK: hook,
      });
      assert.equal(result.status, 0, result.stderr);
      assert.match(result.stderr, /^talks$/m);
      assert.equal(asked(store), "argv x86_64-linux 0 0 0\n1 x86_64-linux a.drv kvm\n1 x86_64-linux b.drv \n");
    }));

  test("accepts: inputs and outputs go in, the log comes out, outputs are valid in the end", () =>
    withPeerStore((store) => {
      const [a] = store.instantiate(text, "a");
      const hook = script(
        store,
        "hook",
        hookText(
          store,
          `echo "# accept" >&2; read -r inputs; read -r outputs
           echo "in $inputs" >> ${store.dir}/asked; echo "out $outputs" >> ${store.dir}/asked
           echo "built far away" >&4
           for out in $outputs; do echo remote > $out; (echo $out; echo $drv; echo 0) | NIX_HELD_LOCKS="$out" ${siloProgram("nix-store")} --register-validity; done
           exit 0`,
        ),
      );
      const result = store.run("silo", ["--realise", a!], { NIX_BUILD_HOOK: hook });
      assert.equal(result.status, 0, result.stderr);
      assert.match(result.stderr, /^built far away$/m);
      assert.equal(readFileSync(result.stdout.trim(), "latin1"), "remote\n");
      assert.equal(store.run("silo", ["--read-log", a!]).stdout, "built far away\n");
      const storeDir = store.env["NIX_STORE_DIR"];
      assert.equal(
        asked(store),
        `argv x86_64-linux 0 0 0\n1 x86_64-linux a.drv kvm\nin ${storeDir}/a.drv\nout ${storeDir}/a\n`,
      );
    }));

  test("fails: 100 is the build's failure, anything else the hook's", () =>
    withPeerStore((store) => {
      const [a] = store.instantiate(text, "a");
      const failWith = (status: number) => {
        const hook = script(store, "hook", hookText(store, `echo "# accept" >&2; exit ${status}`));
        return store.run("silo", ["--realise", "--print-build-trace", a!], { NIX_BUILD_HOOK: hook });
      };
      const permanent = failWith(100);
      assert.equal(permanent.status, 100);
      assert.match(permanent.stderr, /^@ build-failed .* - 1 builder for '.*-a\.drv' failed with exit code 100$/m);
      const misc = failWith(7);
      assert.equal(misc.status, 1);
      assert.match(misc.stderr, /^@ hook-failed .* - 1 builder for '.*-a\.drv' failed with exit code 7$/m);
      assert.equal(failWith(101).status, 101);
    }));

  test("postpones: it is asked again later", () =>
    withPeerStore((store) => {
      const [a] = store.instantiate(text, "a");
      const reply = `if [ -e ${store.dir}/later ]; then echo "# decline" >&2; else : > ${store.dir}/later; echo "# postpone" >&2; fi`;
      const hook = script(store, "hook", hookText(store, reply));
      const result = store.run("silo", ["--realise", "--option", "system-features", "kvm", a!], {
        NIX_BUILD_HOOK: hook,
      });
      assert.equal(result.status, 0, result.stderr);
      assert.equal(asked(store).split("\n").length, 4);
    }));

  test("is not asked for what prefers to be built here", () =>
    withPeerStore((store) => {
      const [here] = store.instantiate(text, "here");
      const hook = script(store, "hook", hookText(store, `echo "# decline" >&2`));
      assert.equal(store.run("silo", ["--realise", here!], { NIX_BUILD_HOOK: hook }).status, 0);
      assert.equal(existsSync(join(store.dir, "asked")), false);
    }));

  test("dies, or says nonsense", () =>
    withPeerStore((store) => {
      const [a] = store.instantiate(text, "a");
      const dead = store.run("silo", ["--realise", a!], { NIX_BUILD_HOOK: script(store, "hook", "exit 3") });
      assert.equal(dead.status, 1);
      assert.match(dead.stderr, /build hook '.*' died unexpectedly/);
      const odd = script(store, "hook", hookText(store, `echo "# perhaps" >&2`));
      assert.match(store.run("silo", ["--realise", a!], { NIX_BUILD_HOOK: odd }).stderr, /bad hook reply 'perhaps'/);
    }));
});

describe("substituter programs of Nix 1.7", { skip }, () => {
  const text = `let ${makeDerivation} in rec { a = mk "a" "echo a > $out" {}; b = mk "b" "echo \${a} > $out" {}; }`;

  /** Serves what is in the directory `cache`: trees, and the answers to `info` beside them. */
  function cacheProgram(
    store: PeerStore,
    substitute = `${busybox} cp -r "$cache/$base" "$3"; echo; cat "$cache/$base.hash" 2>/dev/null || echo`,
  ): string {
    return script(
      store,
      "substituter",
      `cache=${store.dir}/cache
echo "$*" >> ${store.dir}/called
if [ "$1" = --query ]; then
  echo
  while read -r command paths; do
    for path in $paths; do
      base=\${path##*/}
      if [ -e "$cache/$base" ]; then if [ $command = have ]; then echo $path; else echo $path; cat "$cache/$base.info"; fi; fi
    done
    echo
  done
  exit 0
fi
base=\${2##*/}
echo "fetching" >&2
${substitute}
`,
    );
  }

  /** Builds with Nix, keeps the outputs as a cache, and empties the store of them. */
  function fill(store: PeerStore): { a: string; b: string; outA: string; outB: string } {
    const [a, b] = store.instantiate(text, "a", "b") as [string, string];
    const [outA, outB] = [a, b].map((drv) => store.run("nix", ["--realise", drv]).stdout.trim()) as [string, string];
    store.run("nix", ["--delete", outB]);
    const cache = join(store.dir, "cache");
    mkdirSync(cache);
    for (const [out, references] of [
      [outA, [] as string[]],
      [outB, [outA]],
    ] as const) {
      const base = out.slice(out.lastIndexOf("/") + 1);
      writeFileSync(join(cache, base), out === outA ? "a\n" : `${outA}\n`);
      writeFileSync(
        join(cache, `${base}.info`),
        ["", String(references.length), ...references, "10", "20", ""].join("\n"),
      );
    }
    store.run("nix", ["--delete", outA]);
    return { a, b, outA, outB };
  }

  test("are asked, and fetch with references first", () =>
    withPeerStore((store) => {
      const { b, outA, outB } = fill(store);
      const env = { NIX_SUBSTITUTERS: cacheProgram(store) };
      const dry = store.run("silo", ["--realise", "--dry-run", b], env);
      assert.equal(
        dry.stderr,
        `these 2 paths will be fetched (0.00 MiB download, 0.00 MiB unpacked):\n${[outA, outB]
          .sort()
          .map((path) => `  ${path}\n`)
          .join("")}`,
      );
      const result = store.run("silo", ["--realise", "--no-gc-warning", "--print-build-trace", b], env);
      assert.equal(result.status, 0, result.stderr);
      assert.equal(result.stdout, `${outB}\n`);
      assert.deepEqual(
        result.stderr.split("\n").filter((line) => line.startsWith("@ ")),
        [outA, outB].flatMap((out) => [
          `@ substituter-started ${out} ${env.NIX_SUBSTITUTERS}`,
          `@ substituter-succeeded ${out}`,
        ]),
      );
      assert.match(result.stderr, /^substituter: fetching$/m);
      assert.equal(store.run("nix", ["--verify", "--check-contents"]).status, 0);
      assert.equal(store.run("nix", ["--query", "--references", outB]).stdout.trim(), outA);
    }));

  test("that fail are followed by the next, and with fallback by a build", () =>
    withPeerStore((store) => {
      const { a, outA } = fill(store);
      const bad = cacheProgram(store, "exit 5");
      const failed = store.run("silo", ["--realise", a], { NIX_SUBSTITUTERS: bad });
      assert.equal(failed.status, 1);
      assert.match(failed.stderr, /fetching path '.*-a' failed with exit code 5/);
      assert.match(failed.stderr, /some substitutes for the outputs of derivation '.*' failed/);
      const built = store.run("silo", ["--realise", "--fallback", a], { NIX_SUBSTITUTERS: bad });
      assert.equal(built.status, 0, built.stderr);
      assert.match(built.stderr, /^building /m);
      store.run("nix", ["--delete", outA]);
      const second = join(store.dir, "second");
      writeFileSync(second, readFileSync(cacheProgram(store)), { mode: 0o755 });
      const both = store.run("silo", ["--realise", a], {
        NIX_SUBSTITUTERS: `${cacheProgram(store, "exit 5")}:${second}`,
      });
      assert.equal(both.status, 0, both.stderr);
      assert.doesNotMatch(both.stderr, /^building /m);
    }));

  test("that state another hash are not believed", () =>
    withPeerStore((store) => {
      const { outA } = fill(store);
      const base = outA.slice(outA.lastIndexOf("/") + 1);
      for (const hash of [`sha256:${"0".repeat(64)}`, `md5:${"0".repeat(32)}`]) {
        writeFileSync(join(store.dir, "cache", `${base}.hash`), `${hash}\n`);
        const result = store.run("silo", ["--realise", outA], { NIX_SUBSTITUTERS: cacheProgram(store) });
        assert.equal(result.status, 1);
        assert.match(result.stderr, /hash mismatch/);
      }
      assert.equal(store.run("nix", ["--check-validity", outA]).status, 1);
    }));

  test("with a hole in the closure only what is missing is built", () =>
    withPeerStore((store) => {
      const { b, outA, outB } = fill(store);
      rmSync(join(store.dir, "cache", outA.slice(outA.lastIndexOf("/") + 1)));
      const result = store.run("silo", ["--realise", "--no-gc-warning", b], { NIX_SUBSTITUTERS: cacheProgram(store) });
      assert.equal(result.status, 0, result.stderr);
      assert.equal(result.stdout, `${outB}\n`);
      assert.deepEqual(
        result.stderr
          .split("\n")
          .filter((line) => /^(building|copying) /.test(line))
          .map((line) => line.slice(0, 8)),
        ["building", "copying "],
      );
    }));

  test("that are switched off are not asked again", () =>
    withPeerStore((store) => {
      const { b } = fill(store);
      const off = script(store, "off", `echo called >> ${store.dir}/called; exit 0`);
      assert.equal(store.run("silo", ["--realise", b], { NIX_SUBSTITUTERS: off }).status, 0);
      assert.equal(readFileSync(join(store.dir, "called"), "utf8"), "called\n");
    }));

  test("repair a damaged path", () =>
    withPeerStore((store) => {
      const { a, outA } = fill(store);
      const env = { NIX_SUBSTITUTERS: cacheProgram(store) };
      assert.equal(store.run("silo", ["--realise", a], env).status, 0);
      chmodSync(outA, 0o644);
      writeFileSync(outA, "damaged");
      const result = store.run("silo", ["--repair-path", outA], env);
      assert.equal(result.status, 0, result.stderr);
      assert.equal(readFileSync(outA, "utf8"), "a\n");
      assert.equal(store.run("nix", ["--verify", "--check-contents"]).status, 0);
    }));
});
