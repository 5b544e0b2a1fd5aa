/** Stock Nix clients get the same from silo's daemon as from their own: output, exit status, and what is in the store then. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { describe, test } from "node:test";
import { settledDatabase, withDaemon } from "../support/running-daemon.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";
import { createTempStore, type Maker, type TempStore } from "../support/temp-store.ts";
import { deleteTree } from "../../src/sys/delete-tree.ts";

const recipes: Readonly<Record<string, string>> = {
  "chain.nix": `let y = derivation { name = "y"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo y > $out" ]; };
    in derivation { name = "x"; system = builtins.currentSystem; builder = "/bin/sh"; outputs = [ "out" "dev" ];
      args = [ "-c" "echo building; read a < $dep; echo hi $a > $out; echo dev > $dev" ]; dep = y; text = builtins.toFile "a" "aa"; }`,
  "fixed.nix": `derivation { name = "f"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo fixed > $out" ];
      outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = "0000000000000000000000000000000000000000000000000000"; }`,
  "failing.nix": `derivation { name = "bad"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo failing; exit 3" ]; }`,
  "package.nix": `derivation { name = "tool-1.0"; system = builtins.currentSystem; builder = "/bin/sh";
      args = [ "-c" "/bin/mkdir -p $out/bin; echo '#!/bin/sh' > $out/bin/tool" ]; }`,
};

type Step = readonly [program: string, ...args: string[]];

const nix = (...args: string[]): Step => ["nix", "--extra-experimental-features", "nix-command", ...args];

/** `$NAME` is the output of the step of that name; `=NAME` in front names one. */
const script: readonly (readonly [name: string, ...step: Step])[] = [
  ["hello", "nix-store", "--add", "$DIR/hello"],
  ["tree", "nix-store", "--add", "$DIR/tree"],
  ["flat", "nix-store", "--add-fixed", "sha1", "$DIR/hello"],
  ["", "nix-store", "--add-fixed", "--recursive", "md5", "$DIR/tree"],
  ["", "nix-store", "-q", "--hash", "$hello", "$tree", "$flat"],
  ["", "nix-store", "-q", "--size", "$tree"],
  ["", "nix-store", "--dump", "$tree"],
  ["", "nix-store", "--export", "$hello", "$tree"],
  ["", "nix-store", "--check-validity", "$hello"],
  [
    "",
    "nix-store",
    "--check-validity",
    "--print-invalid",
    "$DIR/store/00000000000000000000000000000000-none",
    "$hello",
  ],
  ["", "nix-store", "-q", "--references", "$DIR/store/00000000000000000000000000000000-none"],
  ["", "nix-store", "-r", "$DIR/store/00000000000000000000000000000000-none"],
  ["", "nix-store", "-q", "--hash", "/etc/passwd"],
  ["drv", "nix-instantiate", "$DIR/chain.nix"],
  ["", "nix-store", "-q", "--references", "$drv"],
  ["", "nix-store", "-q", "--outputs", "$drv"],
  ["", "nix-store", "-q", "--tree", "$drv"],
  ["", "nix-store", "-q", "--binding", "name", "$drv"],
  ["", "nix-store", "-r", "$drv", "--dry-run"],
  ["", "nix-store", "-r", "$drv"],
  ["out", "nix-build", "$DIR/chain.nix", "--no-out-link"],
  ["", "nix-store", "-q", "--deriver", "$out"],
  ["", "nix-store", "-q", "--referrers", "$out"],
  ["", "nix-store", "-qR", "$out"],
  ["", "nix-store", "-l", "$out"],
  ["", "nix-build", "$DIR/failing.nix", "--no-out-link"],
  ["", "nix-build", "$DIR/failing.nix", "$DIR/chain.nix", "-k", "--no-out-link"],
  ["", "nix-build", "$DIR/fixed.nix", "--no-out-link"],
  ["", "nix-build", "$DIR/chain.nix", "-o", "$DIR/result"],
  ["", "nix-store", "-q", "--roots", "$out"],
  ["", ...nix("build", "-f", "$DIR/chain.nix", "--no-link", "--json")],
  ["", ...nix("build", "-f", "$DIR/failing.nix", "--no-link")],
  ["", ...nix("path-info", "-rsS", "$out")],
  ["", ...nix("path-info", "--json", "$tree")],
  ["", ...nix("log", "$out")],
  ["", ...nix("store", "ls", "-R", "$tree")],
  ["", ...nix("store", "cat", "$hello")],
  ["", ...nix("copy", "--no-check-sigs", "--to", "$DIR/copy", "$out")],
  ["", ...nix("copy", "--no-check-sigs", "--all", "--from", "$DIR/copy")],
  ["", ...nix("store", "verify", "--no-trust", "--all")],
  ["", ...nix("store", "sign", "-k", "$DIR/key", "$hello")],
  ["", "nix-env", "-p", "$DIR/profile", "-f", "$DIR/package.nix", "-i"],
  ["", "nix-env", "-p", "$DIR/profile", "-q", "--out-path"],
  ["", "nix-env", "-p", "$DIR/profile", "--rollback"],
  ["", "nix-store", "--verify", "--check-contents"],
  ["", "nix-store", "--optimise"],
  ["", "nix-store", "--gc", "--print-dead"],
  ["", "nix-store", "--delete", "$out"],
  ["", "nix-store", "--delete", "$flat"],
  ["", "nix-store", "--gc"],
  ["", "nix-store", "--check-validity", "$hello", "$out"],
  ["", "nix-build", "$DIR/chain.nix", "--no-out-link"],
  ["", "nix-build", "$DIR/chain.nix", "--check", "--no-out-link"],
];

/** What differs without meaning: times, sizes on disk, the order of a set. */
function normalise(text: string): string {
  return text
    .replaceAll(/"registrationTime":[0-9]+/g, '"registrationTime":0')
    .replaceAll(/"(startTime|stopTime)":[0-9]+/g, '"$1":0')
    .replaceAll(/[0-9.]+ MiB/g, "N MiB")
    .replaceAll(/\x1b\[[0-9;]*m/g, "")
    .split("\n")
    .filter((line) => !line.endsWith(".lock"))
    .sort()
    .join("\n");
}

function prepare(store: TempStore): void {
  for (const [name, text] of Object.entries(recipes)) writeFileSync(`${store.dir}/${name}`, text);
  writeFileSync(`${store.dir}/hello`, "hello\n");
  mkdirSync(`${store.dir}/tree/sub`, { recursive: true });
  writeFileSync(`${store.dir}/tree/sub/file`, "contents".repeat(1000));
  writeFileSync(`${store.dir}/tree/run`, "#!/bin/sh\n", { mode: 0o755 });
  store.run("nix", "nix-store", ["--generate-binary-cache-key", "test-1", `${store.dir}/key`, `${store.dir}/key.pub`]);
}

/** Runs the script with the daemon of one maker; on the way, what stock clients printed. */
async function play(maker: Maker, store: TempStore) {
  const results: unknown[] = [];
  await withDaemon(maker, store, async () => {
    const values = new Map([["DIR", store.dir]]);
    for (const [name, program, ...words] of script) {
      const args = words.map((word) =>
        word.replaceAll(/\$([A-Za-z]+)/g, (whole, key: string) => values.get(key) ?? whole),
      );
      const { status, stdout, stderr } = store.run("nix", program, args, { env: { NIX_REMOTE: "daemon" } });
      const output = stdout.toString("latin1");
      if (name !== "") values.set(name, output.trim().split("\n")[0]!);
      results.push({
        command: [program, ...words].join(" "),
        status,
        output: normalise(output),
        said: said(program, stderr),
      });
    }
  });
  return { results, database: await settledDatabase(store) };
}

/** Wording may differ; that there is an error, and what is built, may not. */
function said(program: string, stderr: string): unknown {
  const lines = normalise(stderr).split("\n");
  return {
    isError: lines.some((line) => line.startsWith("error:")),
    built: lines.filter((line) => line.startsWith("building '") || line.startsWith("copying path")),
    logs: lines.filter((line) => ["building", "failing"].includes(line)),
    // Those that were shown the log as it came are not told where it is.
    advice: program === "nix" ? lines.filter((line) => line.includes("For full logs")) : [],
  };
}

describe("stock clients", { skip: skipWithoutNix, timeout: 600_000 }, () => {
  test("get the same from silo's daemon as from their own", async () => {
    const store = createTempStore();
    try {
      prepare(store);
      const expected = await play("nix", store);
      for (const name of ["store", "state", "log", "copy", "profile", "profile-1-link", "profile-2-link", "result"])
        if (lstatSync(`${store.dir}/${name}`, { throwIfNoEntry: false })) deleteTree(`${store.dir}/${name}`);
      const actual = await play("silo", store);
      for (const [i, result] of expected.results.entries()) assert.deepEqual(actual.results[i], result);
      assert.deepEqual(actual, expected);
    } finally {
      store.remove();
    }
  });

  test("that go away in the middle of a build take it with them", async () => {
    const store = createTempStore();
    try {
      const marker = `${store.dir}/started`;
      writeFileSync(
        `${store.dir}/slow.nix`,
        `derivation { name = "slow"; system = builtins.currentSystem; builder = "/bin/sh";
          args = [ "-c" "echo $$ > ${marker}; while :; do /bin/sleep 1; done" ]; }`,
      );
      await withDaemon("silo", store, async (daemon) => {
        for (const signal of ["SIGINT", "SIGKILL"] as const) {
          rmSync(marker, { force: true });
          const env = { ...store.env, NIX_REMOTE: "daemon" };
          const client = spawn("nix-build", ["--no-out-link", `${store.dir}/slow.nix`], { env, stdio: "ignore" });
          const ended = once(client, "exit");
          while (!existsSync(marker) || readFileSync(marker, "utf8") === "")
            await new Promise((resolve) => setTimeout(resolve, 10));
          const builder = readFileSync(marker, "utf8").trim();
          client.kill(signal);
          await ended;
          while (existsSync(`/proc/${builder}/exe`)) await new Promise((resolve) => setTimeout(resolve, 10));
          assert.equal(daemon.process.exitCode, null);
        }
        while (readdirSync(`${store.stateDir}/temproots`).length > 0)
          await new Promise((resolve) => setTimeout(resolve, 10));
        assert.deepEqual(
          readdirSync(store.storeDir).filter((name) => name.endsWith(".chroot") || name.endsWith("-slow")),
          [],
        );
      });
    } finally {
      store.remove();
    }
  });
});
