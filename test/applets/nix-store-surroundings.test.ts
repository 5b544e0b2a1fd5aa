/** nix-store among pipes, terminals, other users, chroot stores, and names that are not UTF-8. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { siloProgram } from "../support/silo-binary.ts";
import { skipWithout } from "../support/stock-nix.ts";
import { createTempStore, type TempStore } from "../support/temp-store.ts";
import { hasTmux, openTmux } from "../support/tmux-terminal.ts";

function withStore(use: (store: TempStore) => void): void {
  const store = createTempStore();
  try {
    use(store);
  } finally {
    store.remove();
  }
}

test("a reader that goes away ends the program without a word", () => {
  withStore((store) => {
    writeFileSync(join(store.dir, "large"), Buffer.alloc(3_000_000, "line\n"));
    const path = store.output("silo", ["--add", "large"]).trim();
    for (let i = 0; i < 3; i++) {
      for (const args of ["--dump large", `--export ${path}`, `-q --hash ${`${path} `.repeat(1500)}`]) {
        const script = `"$0" ${args} | head -c 10 >/dev/null; echo "\${PIPESTATUS[0]}"`;
        const { stdout, stderr } = spawnSync("bash", ["-c", script, siloProgram("nix-store")], {
          cwd: store.dir,
          env: store.env,
        });
        assert.deepEqual([String(stdout), String(stderr)], ["141\n", ""], args.slice(0, 80));
      }
    }
  });
});

test("a full disk is an error", () => {
  withStore((store) => {
    writeFileSync(join(store.dir, "file"), "contents");
    for (const args of ["--dump file", "--version", "--help"]) {
      const script = `"$0" ${args} >/dev/full`;
      const { status, stderr } = spawnSync("bash", ["-c", script, siloProgram("nix-store")], {
        cwd: store.dir,
        env: store.env,
      });
      assert.deepEqual(
        [status, String(stderr)],
        [1, "error: writing to file descriptor 1: No space left on device\n"],
        args,
      );
    }
  });
});

test("names that are not UTF-8, in arguments, trees, links, messages and the current directory", () => {
  withStore((store) => {
    const name = Buffer.from([0x66, 0xff, 0x80, 0x0a, 0xc3, 0xa9]);
    const at = (...parts: (string | Buffer)[]) => Buffer.concat(parts.map((part) => Buffer.from(part)));
    const inDir = (...parts: (string | Buffer)[]) => at(`${store.dir}/`, ...parts);
    mkdirSync(inDir(name));
    writeFileSync(inDir(name, "/", name), "contents");
    symlinkSync(name, inDir(name, "/link"));
    mkdirSync(inDir("tree"));
    writeFileSync(inDir("tree/", name), "contents");
    const run = (...args: (string | Buffer)[]) => {
      const result = store.run("silo", "nix-store", args);
      assert.equal(result.status, 0, result.stderr);
      return result.stdout;
    };
    const nar = run("--dump", at(name));
    assert.ok(nar.includes(at(name)));
    store.run("silo", "nix-store", ["--restore", at("copy", name)], { input: nar });
    assert.ok(run("--dump", at("copy", name)).equals(nar));

    const path = run("--add", "tree").toString().trim();
    symlinkSync(path, inDir(name, "/to-store"));
    assert.equal(run("-q", "--resolve", at(name, "/to-store")).toString(), `${path}\n`);
    const inside = spawnSync(
      "sh",
      ["-c", 'cd "$(printf "f\\377\\200\\n\\303\\251")" && exec "$0" -q --resolve to-store', siloProgram("nix-store")],
      { cwd: store.dir, env: store.env },
    );
    assert.deepEqual([String(inside.stdout), String(inside.stderr)], [`${path}\n`, ""]);

    const missing = store.run("silo", "nix-store", ["-q", at("missing", name)]);
    assert.equal(missing.status, 1);
    const shown = at("missing", name).toString("latin1").replace("\n", "\\n");
    assert.equal(missing.stderr, `error: getting status of '${store.dir}/${shown}': No such file or directory\n`);
    const refused = store.run("silo", "nix-store", ["--add", at(name)]);
    assert.equal(refused.status, 1);
    assert.equal(refused.stderr.split("\n").length, 2);
  });
});

describe("other users", { skip: process.geteuid!() === 0 ? skipWithout("setpriv", "--version") : "needs root" }, () => {
  const nobody = 65534;
  const through = ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"];

  test("may query a store that they may not write", () => {
    withStore((store) => {
      chmodSync(store.dir, 0o755);
      writeFileSync(join(store.dir, "file"), "contents");
      const path = store.output("silo", ["--add", "file"]).trim();
      const env = { HOME: "/nonexistent" };
      for (const query of ["--hash", "--size", "--references", "-R", "--tree", "--graph", "--deriver"]) {
        const own = store.output("silo", ["-q", query, path]);
        assert.equal(store.output("silo", ["-q", query, path], { through, env }), own, query);
      }
      assert.equal(store.output("silo", ["--dump-db"], { through, env }), store.output("silo", ["--dump-db"]));
      const archive = (options = {}) => store.run("silo", "nix-store", ["--export", path], options).stdout;
      assert.ok(archive({ through, env }).equals(archive()));
      for (const args of [["--add", "file", "conf"], ["--optimise"], ["--load-db"], ["--import"], ["--verify"]]) {
        const { status, stdout, stderr } = store.run("silo", "nix-store", args, { through, env });
        assert.deepEqual([args, status, stdout.length], [args, 1, 0]);
        assert.match(stderr, /^error: Cannot change the store '[^\n]*run 'silo daemon'[^\n]*NIX_REMOTE=DIRECTORY\n$/);
      }
    });
  });

  test("may have a store of their own", () => {
    withStore((store) => {
      chownSync(store.dir, nobody, nobody);
      writeFileSync(join(store.dir, "file"), "contents");
      mkdirSync(join(store.dir, "tree"));
      for (const name of ["a", "b"]) writeFileSync(join(store.dir, "tree", name), "the same");
      const env = { HOME: store.dir };
      const paths = store.output("silo", ["--add", "file", "tree"], { through, env }).trim().split("\n");
      assert.equal(store.output("silo", ["--optimise"], { through, env }), "");
      assert.equal(store.output("silo", ["--verify", "--check-contents"], { through, env }), "");
      assert.equal(store.output("nix", ["--verify", "--check-contents"], { through, env }), "");
      assert.equal(
        store.output("nix", ["-q", "--hash", ...paths], { through, env }),
        store.output("silo", ["-q", "--hash", ...paths]),
      );
    });
  });
});

test("a store in another place: --store, NIX_REMOTE, and what cannot be opened", () => {
  withStore((store) => {
    writeFileSync(join(store.dir, "file"), "contents");
    const { NIX_STORE_DIR: _, NIX_STATE_DIR: __, NIX_LOG_DIR: ___, ...env } = store.env;
    const run = (args: string[], more: Record<string, string> = {}) => {
      const { status, stdout, stderr } = spawnSync(siloProgram("nix-store"), args, {
        cwd: store.dir,
        env: { ...env, ...more },
      });
      return [status, String(stdout), String(stderr)];
    };
    const [, added] = run(["--store", "./root", "--add", "file"]);
    assert.match(String(added), /^\/nix\/store\/[0-9a-z]{32}-file\n$/);
    const path = String(added).trim();
    assert.ok(readdirSync(join(store.dir, "root/nix/store")).includes(path.slice("/nix/store/".length)));
    for (const location of [
      `${store.dir}/root`,
      `local?root=${store.dir}/root`,
      `local?state=${store.dir}/root/nix/var/nix&real=${store.dir}/root/nix/store`,
    ]) {
      assert.deepEqual(run(["-q", "--size", path], { NIX_REMOTE: location }), [0, "120\n", ""]);
      assert.deepEqual(run(["--verify", "--check-contents", "--quiet"], { NIX_REMOTE: location }), [0, "", ""]);
    }
    assert.deepEqual(run(["-q"], { NIX_REMOTE: "nowhere" }), [
      1,
      "",
      "error: don't know how to open Nix store 'nowhere'\n",
    ]);
    const other = run(["-q"], { NIX_REMOTE: "ssh://host" });
    assert.equal(other[0], 1);
    assert.match(String(other[2]), /^error: cannot work on the store 'ssh:\/\/host' from here: [^\n]*\n$/);
  });
});

test("operands from standard input", () => {
  withStore((store) => {
    for (const name of ["one", "two"]) writeFileSync(join(store.dir, name), name);
    const paths = store.output("silo", ["--add", "--stdin", "one"], { input: " two\n" }).trim().split("\n");
    assert.equal(paths.length, 2);
    assert.equal(
      store.output("silo", ["-q", "--resolve", "--stdin"], { input: `${paths.join("\t\n ")}` }),
      `${paths.join("\n")}\n`,
    );
  });
});

const withoutTmux = hasTmux || process.env["SILO_REQUIRE_PEERS"] === "1" ? false : "tmux is not installed";

test("progress is for terminals, and leaves nothing there", { skip: withoutTmux }, async () => {
  const store = createTempStore();
  try {
    for (let i = 0; i < 5; i++) writeFileSync(join(store.dir, `file-${i}`), `contents ${i}`);
    store.output("silo", ["--add", ...[0, 1, 2, 3, 4].map((i) => `file-${i}`)]);
    const piped = store.run("silo", "nix-store", ["--verify", "--check-contents"]);
    const lines = [
      "reading the Nix store...",
      "checking path existence...",
      "checking link hashes...",
      "checking store hashes...",
    ];
    assert.equal(piped.stderr, `${lines.join("\n")}\n`);
    const command = `${siloProgram("nix-store")} --verify --check-contents`;
    using terminal = openTmux(command, { columns: 80, rows: 24, env: store.env });
    const screen = await terminal.screenWhen((rows) => rows.at(-1)!.startsWith("<exit"));
    assert.deepEqual(screen, [...lines, "<exit 0>"]);
  } finally {
    store.remove();
  }
});

test("messages for programs", () => {
  withStore((store) => {
    const { stderr } = store.run("silo", "nix-store", ["--verify", "--log-format", "internal-json"]);
    const lines = stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line.replace(/^@nix /, "")));
    assert.deepEqual(
      lines.filter(({ action }) => action === "msg"),
      [
        { action: "msg", level: 3, msg: "reading the Nix store..." },
        { action: "msg", level: 3, msg: "checking path existence..." },
      ],
    );
  });
});

test("version and help", () => {
  withStore((store) => {
    assert.equal(store.output("silo", ["--version"]), "nix-store (silo) 2.18.0\n");
    const help = store.output("silo", ["--help"]);
    assert.match(help, /^nix-store: .*\n\nExamples:\n {2}# .*\n {2}\$ nix-store /);
    for (const flag of ["--query", "--add-fixed", "--export", "--include-outputs", "--add-root", "--option", "-Q, "]) {
      assert.ok(help.includes(flag), flag);
    }
    const completions = store.output("silo", ["--get-yargs-completions", "nix-store", "--refer"]);
    assert.deepEqual(completions.trim().split("\n"), ["--references", "--referrers", "--referrers-closure"]);
  });
});
