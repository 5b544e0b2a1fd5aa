/** The compiled program: several at once, killed, interrupted; logs; programs of Nix 1.7 that help it. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { deleteTree } from "../../src/sys/delete-tree.ts";
import {
  busybox,
  type Maker,
  makeDerivation,
  openPeerStore,
  type PeerStore,
  skipWithoutBusybox,
} from "../support/peer-stores.ts";
import { siloProgram } from "../support/silo-binary.ts";
import { skipWithout, skipWithoutNix } from "../support/stock-nix.ts";

const skip = skipWithoutNix || skipWithoutBusybox;
const isLong = process.env["SILO_LONG"] === "1";

async function withStore(use: (store: PeerStore) => void | Promise<void>, conf = ""): Promise<void> {
  const dir = mkdtempSync(join(realpathSync(tmpdir()), "silo-build-"));
  try {
    await use(openPeerStore(dir, conf));
  } finally {
    deleteTree(dir);
  }
}

function start(store: PeerStore, maker: Maker, args: readonly string[]): ChildProcess {
  const program = maker === "silo" ? siloProgram("nix-store") : "nix-store";
  return spawn(program, args, { env: { ...store.env }, cwd: store.dir, stdio: ["ignore", "pipe", "pipe"] });
}

/** A graph whose builders each leave a line in a file outside of the store. */
function countedGraph(store: PeerStore, size: number): { path: string; counts(): string[] } {
  const file = join(store.dir, "built");
  writeFileSync(file, "");
  const nodes = Array.from({ length: size }, (_, i) => {
    const inputs = [i - 1, i - 3].filter((input) => input >= 0 && (i % 4 !== 0 || input % 4 === 0));
    const uses = inputs.map((input) => `\${n${input}}`).join(" ");
    return `n${i} = mk "n${i}" "echo ${i} >> ${file}; ${busybox} usleep 20000; echo ${uses} $out > $out" {};`;
  });
  const all = Array.from({ length: size }, (_, i) => `\${n${i}}`).join(" ");
  const text = `let ${makeDerivation} in rec { ${nodes.join("\n")} all = mk "all" "echo ${all} > $out" {}; }`;
  const [path] = store.instantiate(text, "all");
  return {
    path: path!,
    counts: () =>
      readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line !== ""),
  };
}

describe("several processes on one store", { skip }, () => {
  test("two of silo and one of Nix build each derivation once", () =>
    withStore(async (store) => {
      const size = 24;
      const { path, counts } = countedGraph(store, size);
      const makers: Maker[] = ["silo", "nix", "silo"];
      const running = makers.map((maker) => start(store, maker, ["--realise", "-j2", path]));
      const ends = await Promise.all(running.map((child) => once(child, "close")));
      assert.deepEqual(ends, [
        [0, null],
        [0, null],
        [0, null],
      ]);
      assert.deepEqual(counts().sort(), Array.from({ length: size }, (_, i) => String(i)).sort());
      assert.deepEqual(
        readdirSync(join(store.dir, "store")).filter((name) => name.endsWith(".lock")),
        [],
      );
    }));

  test("who waits says for what, and uses the result", () =>
    withStore(async (store) => {
      const gate = join(store.dir, "gate");
      const text = `let ${makeDerivation} in mk "waits" "while [ ! -e ${gate} ]; do ${busybox} usleep 10000; done; echo > $out" {}`;
      const [path] = store.instantiate(text);
      const first = start(store, "silo", ["--realise", path!]);
      await lineOf(first.stderr!, /^building /);
      const second = start(store, "silo", ["--realise", path!]);
      const line = await lineOf(second.stderr!, /^waiting for lock on /);
      assert.match(line, /-waits'\.\.\.$/);
      writeFileSync(gate, "");
      assert.deepEqual(await Promise.all([once(first, "close"), once(second, "close")]), [
        [0, null],
        [0, null],
      ]);
    }));
});

describe("killed and interrupted", { skip }, () => {
  test("after kill -9 the store is whole, nothing runs, and the next run finishes the work", () =>
    withStore(async (store) => {
      const rounds = isLong ? 100 : 10;
      const { path } = countedGraph(store, 30);
      for (let round = 0; round < rounds; round++) {
        const sandbox = round % 2 === 0 ? "true" : "false";
        const child = start(store, "silo", ["--realise", "-j2", "--option", "sandbox", sandbox, path]);
        const isOver = once(child, "close");
        await new Promise((resolve) => setTimeout(resolve, 20 + ((round * 37) % 400)));
        child.kill("SIGKILL");
        await isOver;
        const verify = store.run("nix", ["--verify", "--check-contents"]);
        assert.equal(verify.status, 0, verify.stderr);
        assert.doesNotMatch(verify.stderr, /modified|disappeared/);
        await untilGone(store.dir);
        assert.equal(readFileSync("/proc/self/mountinfo", "utf8").includes(store.dir), false);
        if (round % 8 === 7) store.run("nix", ["--gc"]);
        if (round % 8 === 7) countedGraph(store, 30);
      }
      assert.equal(store.run("silo", ["--realise", path]).status, 0);
      assert.equal(store.run("nix", ["--realise", path]).status, 0);
      store.run("silo", ["--gc"]);
      const left = readdirSync(join(store.dir, "store")).filter((name) => /\.(chroot|lock|tmp|check)/.test(name));
      assert.deepEqual(left, []);
    }));

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`${signal} ends builders and leaves nothing`, () =>
      withStore(async (store) => {
        const text = `let ${makeDerivation} in mk "sleeps" "echo begun; ${busybox} sleep 100 & ${busybox} sleep 100" {}`;
        const [path] = store.instantiate(text);
        const child = start(store, "silo", ["--realise", path!]);
        await lineOf(child.stderr!, /^begun/);
        child.kill(signal);
        assert.deepEqual(await once(child, "close"), [1, null]);
        await untilGone(store.dir);
        assert.deepEqual(readdirSync(join(store.dir, "tmp")), []);
        const second = store.run("silo", ["--realise", "--timeout", "1", path!]);
        assert.equal(second.status, 101);
      }));
  }
});

/** No process has a file, directory or variable in `dir`. */
async function untilGone(dir: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    const left = readdirSync("/proc").filter((pid) => /^[0-9]+$/.test(pid) && mentions(pid, dir));
    if (left.length === 0) return;
    assert(
      tries < 200,
      `processes are left: ${left.map((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8")).join("; ")}`,
    );
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

function mentions(pid: string, dir: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1").includes(`NIX_BUILD_TOP=${dir}`);
  } catch {
    return false; // ended, or the kernel's
  }
}

/** The first line that matches. */
async function lineOf(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<string> {
  let text = "";
  for await (const chunk of on(stream)) {
    text += chunk.toString("latin1");
    const line = text.split("\n").find((each) => pattern.test(each));
    if (line !== undefined) return line;
  }
  throw new Error(`no line like ${pattern}: ${text}`);
}

/** Chunks; leaving the loop does not close the stream. */
async function* on(stream: NodeJS.ReadableStream): AsyncGenerator<Buffer> {
  const chunks: Buffer[] = [];
  let wake = () => {};
  let isOver = false;
  stream.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    wake();
  });
  stream.on("end", () => {
    isOver = true;
    wake();
  });
  for (;;) {
    for (const chunk of chunks.splice(0)) yield chunk;
    if (isOver) return;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}

describe("logs", { skip: skip || skipWithout("bzcat", "--version") }, () => {
  const loud = `let ${makeDerivation} in mk "loud" "for i in $(${busybox} seq 1 30000); do echo line $i; done; printf 'no end'; echo > $out" {}`;

  test("are what the builder wrote, for bzcat, silo and Nix", () =>
    withStore(async (store) => {
      const [path] = store.instantiate(loud);
      assert.equal(store.run("silo", ["--realise", "-Q", path!]).status, 0);
      const base = path!.slice(path!.lastIndexOf("/") + 1);
      const file = join(store.dir, "log/drvs", base.slice(0, 2), `${base.slice(2)}.bz2`);
      const expected = `${Array.from({ length: 30000 }, (_, i) => `line ${i + 1}\n`).join("")}no end`;
      const bzcat = spawn("bzcat", [file]);
      let text = "";
      for await (const chunk of bzcat.stdout) text += chunk;
      assert.equal(text, expected);
      assert.equal(store.run("silo", ["--read-log", path!]).stdout, expected);
      assert.equal(store.run("nix", ["--read-log", path!]).stdout, expected);
      assert.equal(existsSync(file.replace(/\.bz2$/, "")), false);
    }));

  test("reach neither a terminal nor a file with what a terminal acts on", () =>
    withStore((store) => {
      const escapes = "printf 'a\\\\033[31mred\\\\033[0m\\\\033]0;title\\\\007\\\\033c\\\\tb\\\\n'";
      const [path] = store.instantiate(`let ${makeDerivation} in mk "escapes" "${escapes}; exit 1" {}`);
      const { stderr } = spawnSync(siloProgram("nix-store"), ["--realise", path!], { env: { ...store.env } });
      assert.match(stderr.toString(), /^ared\tb$/m);
      const terminal = spawnSync(
        "script",
        ["-qec", `${siloProgram("nix-store")} --log-format raw --realise ${path}`, "/dev/null"],
        {
          env: { ...store.env, TERM: "xterm" },
          stdio: ["ignore", "pipe", "inherit"],
        },
      );
      assert.match(terminal.stdout.toString(), /^a\x1b\[31mred\x1b\[0m\tb\x1b\[0m\r$/m);
    }));

  test("that cannot be written end the build, and nothing is left of it", () =>
    withStore((store) => {
      const script = `${busybox} head -c 9000000 /dev/urandom | ${busybox} od; ${busybox} sleep 300`;
      for (const sandbox of ["true", "false"]) {
        const [path] = store.instantiate(`let ${makeDerivation} in mk "endless-${sandbox}" "${script}" {}`);
        const command = ["-Q", "--option", "sandbox", sandbox, "--realise", path!];
        // Files of 2 MiB at most.
        const args = ["-c", 'ulimit -f 4096; exec "$@"', "sh", siloProgram("nix-store"), ...command];
        const { status, stderr } = spawnSync("/bin/sh", args, { env: { ...store.env } });
        assert.equal(status, 1);
        assert.match(stderr.toString(), /error: writing log file '.*endless.*': File too large\n$/);
        const left = readdirSync(join(store.dir, "store")).filter((name) => /\.(chroot|tmp)/.test(name));
        assert.deepEqual([left, readdirSync(join(store.dir, "tmp"))], [[], []]);
      }
    }));

  test("can be read while the builder runs", () =>
    withStore(async (store) => {
      const gate = join(store.dir, "gate");
      const script = `echo early; while [ ! -e ${gate} ]; do ${busybox} usleep 10000; done; echo late; echo > $out`;
      const [path] = store.instantiate(`let ${makeDerivation} in mk "waits" "${script}" {}`);
      const child = start(store, "silo", ["--realise", path!]);
      await lineOf(child.stderr!, /^early/);
      for (let tries = 0; store.run("nix", ["--read-log", path!]).stdout !== "early\n"; tries++) assert(tries < 100);
      assert.equal(store.run("silo", ["--read-log", path!]).stdout, "early\n");
      writeFileSync(gate, "");
      await once(child, "close");
      assert.equal(store.run("nix", ["--read-log", path!]).stdout, "early\nlate\n");
    }));

  test("plain when asked, none when asked", () =>
    withStore(async (store) => {
      const [path] = store.instantiate(loud);
      const base = path!.slice(path!.lastIndexOf("/") + 1);
      const file = join(store.dir, "log/drvs", base.slice(0, 2), base.slice(2));
      assert.equal(store.run("silo", ["--realise", "-Q", "--option", "keep-build-log", "false", path!]).status, 0);
      assert.deepEqual([existsSync(file), existsSync(`${file}.bz2`)], [false, false]);
      const again = ["--realise", "-Q", "--check", "--option", "compress-build-log", "false", path!];
      assert.equal(store.run("silo", again).status, 0);
      assert.deepEqual([existsSync(file), existsSync(`${file}.bz2`)], [true, false]);
    }));

  test("internal-json tells activities, progress, lines and phases", () =>
    withStore((store) => {
      const script = `echo hi; echo '@nix {\\"action\\":\\"setPhase\\",\\"phase\\":\\"buildPhase\\"}'; echo > $out`;
      const [path] = store.instantiate(`let ${makeDerivation} in mk "json" "${script}" {}`);
      const { stderr, status } = store.run("silo", ["--realise", "--log-format", "internal-json", path!]);
      assert.equal(status, 0);
      const events = stderr
        .split("\n")
        .filter((line) => line.startsWith("@nix "))
        .map((line) => JSON.parse(line.slice(5)) as Record<string, unknown>);
      const build = events.find((event) => event["type"] === 105 && event["action"] === "start")!;
      assert.deepEqual(build["fields"], [path, "", 1, 1]);
      assert.equal(build["text"], `building '${path}'`);
      const results = events.filter((event) => event["action"] === "result" && event["id"] === build["id"]);
      assert.deepEqual(
        results.map(({ type, fields }) => [type, fields]),
        [
          [101, ["hi"]],
          [104, ["buildPhase"]],
        ],
      );
      const builds = events.find((event) => event["type"] === 104 && event["action"] === "start")!;
      const progress = events.filter((event) => event["action"] === "result" && event["id"] === builds["id"]);
      assert.deepEqual(progress.at(-1)!["fields"], [1, 1, 0, 0]);
    }));

  test("the trace lines of Nix 1.7", () =>
    withStore((store) => {
      const text = `let ${makeDerivation} in { good = mk "good" "echo > $out" {}; bad = mk "bad" "exit 3" {}; slow = mk "slow" "${busybox} sleep 9" {}; }`;
      const [good, bad, slow] = store.instantiate(text, "good", "bad", "slow");
      const trace = (...args: string[]) =>
        store
          .run("silo", ["--realise", "--print-build-trace", ...args])
          .stderr.split("\n")
          .filter((line) => line.startsWith("@ "));
      const base = good!.slice(good!.lastIndexOf("/") + 1);
      const log = join(store.dir, "log/drvs", base.slice(0, 2), `${base.slice(2)}.bz2`);
      assert.deepEqual(trace(good!), [`@ build-started ${good} - x86_64-linux ${log}`, `@ build-succeeded ${good} -`]);
      assert.deepEqual(trace(bad!).slice(1), [
        `@ build-failed ${bad} - 1 builder for '${bad}' failed with exit code 3`,
      ]);
      assert.deepEqual(trace("--timeout", "1", slow!).slice(1), [`@ build-failed ${slow} - timeout`]);
    }));
});

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
    withStore((store) => {
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
    withStore((store) => {
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
    withStore((store) => {
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
    withStore((store) => {
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
    withStore((store) => {
      const [here] = store.instantiate(text, "here");
      const hook = script(store, "hook", hookText(store, `echo "# decline" >&2`));
      assert.equal(store.run("silo", ["--realise", here!], { NIX_BUILD_HOOK: hook }).status, 0);
      assert.equal(existsSync(join(store.dir, "asked")), false);
    }));

  test("dies, or says nonsense", () =>
    withStore((store) => {
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
    withStore((store) => {
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
    withStore((store) => {
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
    withStore((store) => {
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
    withStore((store) => {
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
    withStore((store) => {
      const { b } = fill(store);
      const off = script(store, "off", `echo called >> ${store.dir}/called; exit 0`);
      assert.equal(store.run("silo", ["--realise", b], { NIX_SUBSTITUTERS: off }).status, 0);
      assert.equal(readFileSync(join(store.dir, "called"), "utf8"), "called\n");
    }));

  test("repair a damaged path", () =>
    withStore((store) => {
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
