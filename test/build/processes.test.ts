/** The compiled program: several at once, killed, interrupted; logs. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  busybox,
  type Maker,
  makeDerivation,
  type PeerStore,
  skipWithoutBusybox,
  withPeerStore,
} from "../support/peer-stores.ts";
import { siloProgram } from "../support/silo-binary.ts";
import { skipWithout, skipWithoutNix } from "../support/stock-nix.ts";

const skip = skipWithoutNix || skipWithoutBusybox;
const isLong = process.env["SILO_LONG"] === "1";

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
    withPeerStore(async (store) => {
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
    withPeerStore(async (store) => {
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
    withPeerStore(async (store) => {
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
      withPeerStore(async (store) => {
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
    withPeerStore(async (store) => {
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
    withPeerStore((store) => {
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
    withPeerStore((store) => {
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
    withPeerStore(async (store) => {
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
    withPeerStore(async (store) => {
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
    withPeerStore((store) => {
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
    withPeerStore((store) => {
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
