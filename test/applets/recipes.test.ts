/** `silo build`, `run`, `shell` and `init` as users call them: the compiled binary, on recipes in temporary directories. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, describe, test } from "node:test";
import { skipWithout } from "../support/stock-nix.ts";
import { createTempStore, type RunResult } from "../support/temp-store.ts";

const repository = resolve(import.meta.dirname, "../..");
const store = createTempStore();
after(() => store.remove());

const work = join(store.dir, "work");
mkdirSync(work);

const recipe = `
  import { derivation, runCommand, text } from "silo";
  const words = text("words", "some words\\n");
  export const plain = runCommand("plain", \`cat \${words} >$out\`);
  export const two = runCommand("two", \`mkdir $out; cat \${plain} \${words} >$out/file; echo header >$dev\`, { outputs: ["out", "dev"] });
  export const tool = runCommand("tool-1.2", \`
    mkdir -p $out/bin
    printf '#!/bin/sh\\necho tool: "$@"\\nexit $((3 - EXIT))\\n' >$out/bin/tool
    printf '#!/bin/sh\\necho other\\n' >$out/bin/other
    chmod +x $out/bin/*\`);
  export const user = runCommand("user", "tool a; touch $out", { tools: [tool], env: { EXIT: 3, NOTE: "a b" }, outputs: ["out", "doc"] });
  export const raw = derivation({ name: "raw", builder: "/bin/sh", args: ["-c", "tool"], env: { tool, NOTE: "raw" } });
  export const failing = runCommand("failing", "for i in 1 2 3; do echo line $i; done; exit 5");
  export { words };
  export default plain;
`;
writeFileSync(join(work, "silo.ts"), recipe);

function silo(...args: string[]): RunResult & { out: string } {
  const result = store.run("silo", "silo", args, { cwd: work });
  return { ...result, out: result.stdout.toString() };
}

function succeed(...args: string[]): string {
  const { status, out, stderr } = silo(...args);
  assert.equal(status, 0, `silo ${args.join(" ")}: ${stderr}`);
  return out;
}

function refuse(message: RegExp, ...args: string[]): void {
  const { status, out, stderr } = silo(...args);
  assert.notEqual(status, 0, `silo ${args.join(" ")}: ${out}`);
  assert.match(stderr, message);
  assert.ok(!/^\s+at /m.test(stderr), stderr);
}

const noCompiler = skipWithout("cc", "--version");
const result = join(work, "result");

/** Links that the collector follows. */
function roots(): string[] {
  const auto = join(store.stateDir, "gcroots/auto");
  return readdirSync(auto).map((name) => readlinkSync(join(auto, name)));
}

describe("silo build", () => {
  test("the default export, linked as result, which is a root", () => {
    const { stderr } = silo("build");
    assert.match(stderr, /^building '.*-plain\.drv'\.\.\.$/m);
    assert.match(stderr, /^\.\/result -> .*-plain$/m);
    assert.equal(readFileSync(result, "utf8"), "some words\n");
    assert.ok(roots().includes(result));
  });

  test("a second time there is nothing to do", () => {
    succeed("build");
    const { stderr, out } = silo("build");
    assert.equal(out, "");
    assert.match(stderr, /^\.\/result -> \S*-plain\n$/);
  });

  test("several outputs and targets", () => {
    succeed("build", "#two", "./silo.ts#plain", "#words");
    const files = ["result", "result-dev", "result-2", "result-3"].map((name) =>
      readlinkSync(join(work, name)).slice(store.storeDir.length + 34),
    );
    assert.deepEqual(files, ["two", "two-dev", "plain", "words"]);
  });

  test("one output, another link, no link", () => {
    succeed("build", "-o", "other", "#two^dev");
    assert.equal(readFileSync(join(work, "other-dev"), "utf8"), "header\n");
    assert.ok(!existsSync(join(work, "other")));
    rmSync(result, { force: true });
    const [path] = succeed("build", "--no-link", "--print-out-paths", "#two.dev").split("\n");
    assert.equal(readFileSync(path!, "utf8"), "header\n");
    assert.ok(!existsSync(result));
  });

  test("as JSON, and only told", () => {
    const [built] = JSON.parse(succeed("build", "--no-link", "--json", "#two")) as [
      { drvPath: string; outputs: Record<string, string> },
    ];
    assert.deepEqual(Object.keys(built.outputs), ["out", "dev"]);
    assert.match(built.drvPath, /-two\.drv$/);
    writeFileSync(
      join(work, "fresh.ts"),
      `import { runCommand } from "silo"; export default runCommand("fresh-${process.pid}", "exit 1");`,
    );
    const { status, stderr } = silo("build", "--dry-run", "fresh.ts");
    assert.equal(status, 0);
    assert.match(stderr, /^this derivation will be built:\n {2}\S*-fresh-\d+\.drv$/m);
  });

  test("derivations and paths in the store, and links to them", () => {
    const [{ drvPath, outputs }] = JSON.parse(succeed("build", "--json", "#two")) as [
      { drvPath: string; outputs: Record<string, string> },
    ];
    for (const target of [drvPath, `${drvPath}^out,dev`, outputs["out"]!, "./result"]) {
      assert.ok(
        succeed("build", "--no-link", "--print-out-paths", target).split("\n").includes(outputs["out"]!),
        target,
      );
    }
  });

  test("a directory with a recipe", () => {
    cpSync(join(work, "silo.ts"), join(work, "sub/silo.ts"));
    assert.equal(
      succeed("build", "--no-link", "--print-out-paths", "./sub"),
      succeed("build", "--no-link", "--print-out-paths"),
    );
    assert.match(succeed("build", "--no-link", "--print-out-paths", "./sub#two"), /-two\n.*-two-dev\n$/);
  });

  test("built again to compare", () => {
    succeed("build", "--check", "--no-link", "#two");
    writeFileSync(
      join(work, "random.ts"),
      `import { runCommand } from "silo"; export default runCommand("random", "cat /proc/sys/kernel/random/uuid >$out");`,
    );
    succeed("build", "--no-link", "random.ts");
    const { status, stderr } = silo("build", "--check", "--no-link", "random.ts");
    assert.equal(status, 104, stderr);
  });

  test("a build that fails, with its last lines and the status of Nix", () => {
    const { status, stderr } = silo("build", "--no-link", "#failing", "-Q");
    assert.equal(status, 100);
    assert.match(stderr, /line 2/);
    assert.match(stderr, /failed with exit code 5/);
  });

  test("mistakes", () => {
    refuse(/^error: silo\.ts: there is no 'tow' \(did you mean 'two'\?\); it exports: /m, "build", "#tow");
    refuse(
      /^error: cannot build 'two': there is no file '.*two'; for the export 'two' of \.\/silo\.ts, write '#two'$/m,
      "build",
      "two",
    );
    refuse(/^error: cannot build '\.\/nowhere': there is no file '.*nowhere'$/m, "build", "./nowhere");
    mkdirSync(join(work, "empty"));
    refuse(/there is no file '.*empty\/silo\.ts'/, "build", "./empty");
    writeFileSync(
      join(work, "bad.ts"),
      `import { runCommand } from "silo";\nexport default runCommand("x", undefined as never);\n`,
    );
    refuse(/^error: bad\.ts:2:\d+: runCommand 'x': the script must be a string, not undefined$/m, "build", "bad.ts");
    writeFileSync(join(work, "syntax.ts"), "\nexport default = 3;\n");
    refuse(/^error: syntax\.ts:2:\d+: syntax error: /m, "build", "syntax.ts");
    writeFileSync(join(work, "missing.ts"), `\nimport { x } from "./nowhere.ts";\nexport default x;`);
    refuse(/^error: missing\.ts:2:\d+: cannot find the module '\.\/nowhere\.ts'/m, "build", "missing.ts");
    writeFileSync(join(work, "name.ts"), `import { runcommand } from "silo";\nexport default runcommand("x", "");`);
    refuse(
      /^error: name\.ts:1:\d+: 'silo' has no export 'runcommand' \(did you mean 'runCommand'\?\)$/m,
      "build",
      "name.ts",
    );
    refuse(/'--out-link' and '--no-link' exclude each other/, "build", "--no-link", "-o", "x");
  });
});

const noZip = skipWithout("zip", "-v");

describe("recipes that do other things", () => {
  test("what they print is not among the results", () => {
    const text = `import { text } from "silo"; console.log("said"); console.info("told"); export default text("a", "b");`;
    writeFileSync(join(work, "says.ts"), text);
    const { out, stderr } = silo("build", "--no-link", "--print-out-paths", "says.ts");
    assert.match(out, /^\S+-a\n$/);
    assert.equal(stderr, "said\ntold\n");
  });

  test("waiting for nothing is a mistake", () => {
    writeFileSync(join(work, "waits.ts"), "await new Promise(() => {}); export default 1;");
    refuse(/^error: .*waits\.ts: waits for what never happens$/m, "build", "waits.ts");
    writeFileSync(join(work, "waits-later.ts"), "export default () => new Promise(() => {});");
    refuse(/^error: .*waits-later\.ts: waits for what never happens$/m, "build", "waits-later.ts");
  });
});

describe("fetching", { skip: noZip }, () => {
  const files = join(store.dir, "files");
  mkdirSync(join(files, "project-1.0"), { recursive: true });
  writeFileSync(join(files, "project-1.0/README"), "read me\n");
  execFileSync("tar", ["-czf", "project.tar.gz", "project-1.0"], { cwd: files });
  if (noZip === false) execFileSync("zip", ["-qr", "project.zip", "project-1.0"], { cwd: files });
  const url = (name: string) => JSON.stringify(`file://${files}/${name}`);

  test("a hash that is missing or wrong is told, and right when it is written down", () => {
    const text = (hash: string) =>
      `import { fetchurl } from "silo"; export default fetchurl({ url: ${url("project.zip")}${hash} });`;
    const file = join(work, "fetch.ts");
    writeFileSync(file, text(""));
    const { stderr, status } = silo("build", "--no-link", "fetch.ts");
    assert.equal(status, 102, stderr);
    const got = /got:\s+(sha256-\S+)/.exec(stderr)?.[1];
    assert.ok(got !== undefined, stderr);
    writeFileSync(file, text(`, hash: "sha256-${"B".repeat(42)}A="`));
    refuse(/hash mismatch in fixed-output derivation/, "build", "--no-link", "fetch.ts");
    writeFileSync(file, text(`, hash: ${JSON.stringify(got)}`));
    const path = succeed("build", "--no-link", "--print-out-paths", "fetch.ts").trim();
    assert.deepEqual(readFileSync(path), readFileSync(join(files, "project.zip")));
  });

  test("archives, unpacked as the hash of the tree or after the hash of the archive", () => {
    const sha256 = execFileSync("sha256sum", [join(files, "project.tar.gz")], { encoding: "utf8" }).slice(0, 64);
    const treeHash = store.output("silo", ["--add", join(files, "project-1.0")]).trim();
    const narHash = store.output("silo", ["--query", "--hash", treeHash]).trim();
    writeFileSync(
      join(work, "archives.ts"),
      `import { fetchTarball, fetchurl, unpack } from "silo";
      export const tar = fetchTarball({ url: ${url("project.tar.gz")}, hash: "${narHash}" });
      export const zip = fetchTarball({ url: ${url("project.zip")}, hash: "${narHash}", name: "project" });
      export const both = unpack(fetchurl({ url: ${url("project.tar.gz")}, sha256: "${sha256}" }), { name: "unpacked" });`,
    );
    const paths = succeed(
      "build",
      "--no-link",
      "--print-out-paths",
      ...["tar", "zip", "both"].map((name) => `./archives.ts#${name}`),
    )
      .trim()
      .split("\n");
    assert.deepEqual(
      paths.map((path) => path.slice(path.lastIndexOf("/") + 34)),
      ["source", "project", "unpacked"],
    );
    for (const path of paths) assert.equal(readFileSync(join(path, "README"), "utf8"), "read me\n");
  });

  test("an archive that is damaged fails the build with what is wrong", () => {
    writeFileSync(join(files, "bad.tar.gz"), readFileSync(join(files, "project.tar.gz")).subarray(0, 60));
    writeFileSync(
      join(work, "damaged.ts"),
      `import { fetchTarball } from "silo"; export default fetchTarball({ url: ${url("bad.tar.gz")} });`,
    );
    refuse(/Cannot decompress gzip: /, "build", "--no-link", "damaged.ts");
  });
});

describe("silo run", () => {
  test("the program of the derivation's name, with arguments and its status", () => {
    const { status, out } = silo("run", "#tool", "--", "--help", "a b");
    assert.equal(out, "tool: --help a b\n");
    assert.equal(status, 3);
  });
  test("another program", () => assert.equal(succeed("run", "-p", "other", "#tool"), "other\n"));
  test("a path in the store", () => {
    const path = succeed("build", "--no-link", "--print-out-paths", "#tool").trim();
    assert.equal(succeed("run", path, "-p", "other"), "other\n");
  });
  test("mistakes", () => {
    refuse(
      /'.*-tool-1\.2' has no program 'x'; name one of these with '--program': other, tool$/m,
      "run",
      "-p",
      "x",
      "#tool",
    );
    refuse(/has no programs: there is nothing in its directory 'bin'$/m, "run", "#two");
    refuse(/write its arguments behind '--'/, "run", "#tool", "x");
  });
});

describe("silo shell", () => {
  test("a command in the environment of a build", () => {
    const { out, status } = silo("shell", "#user", "--", "sh", "-c", 'tool "$NOTE"; echo $out; echo $HOME; exit 4');
    assert.equal(out, `tool: a b\n${work}/outputs/out\n${store.env["HOME"]}\n`);
    assert.equal(status, 4);
  });
  test("a line for the shell", () =>
    assert.equal(succeed("shell", "#user", "-c", "echo $IN_SILO_SHELL $NOTE"), "1 a b\n"));
  test("what builds it need not have been built, but what it needs is", () => {
    const failing = `import { runCommand } from "silo"; import { tool } from "./silo.ts";
      export default runCommand("never", "exit 1", { tools: [tool], env: { EXIT: 3 } });`;
    writeFileSync(join(work, "never.ts"), failing);
    assert.equal(succeed("shell", "never.ts", "-c", "tool x"), "tool: x\n");
  });
  test("derivations of any kind have the programs of their inputs", () => {
    assert.equal(succeed("shell", "#raw", "-c", "EXIT=3 tool $NOTE"), "tool: raw\n");
  });
  test("mistakes", () => {
    refuse(/'#words' is no derivation, so nothing builds it/, "shell", "#words", "-c", "true");
    refuse(/'--command' and a command behind '--' exclude each other/, "shell", "-c", "x", "--", "y");
  });
});

describe("silo init", () => {
  const project = join(store.dir, "project");
  test("writes a recipe that builds and runs", { skip: noCompiler }, () => {
    succeed("init", project);
    const run = (...args: string[]) => store.run("silo", "silo", args, { cwd: project });
    assert.equal(run("build").status, 0);
    assert.equal(readFileSync(join(project, "result"), "utf8"), "HELLO FROM SILO!\n");
    assert.equal(run("run", "#hello").stdout.toString(), "Hello, world!\n");
  });
  test("which editors find no fault with", () => {
    const { status, stdout } = spawnSync(join(repository, "node_modules/.bin/tsc"), ["-p", project], {
      encoding: "utf8",
    });
    assert.equal(status, 0, stdout);
    writeFileSync(join(project, "wrong.ts"), `import { runCommand } from "silo"; export default runCommand("x", 3);`);
    const wrong = spawnSync(join(repository, "node_modules/.bin/tsc"), ["-p", project], { encoding: "utf8" });
    assert.match(wrong.stdout, /^wrong\.ts|wrong\.ts\(1,\d+\): error TS2345/m);
  });
  test("keeps what is there, but for the declarations", () => {
    writeFileSync(join(project, "silo.ts"), "// mine\n");
    writeFileSync(join(project, ".silo/silo.d.ts"), "// old\n");
    succeed("init", project);
    assert.equal(readFileSync(join(project, "silo.ts"), "utf8"), "// mine\n");
    assert.equal(
      readFileSync(join(project, ".silo/silo.d.ts"), "utf8"),
      readFileSync(join(repository, "src/recipe/silo.d.ts"), "utf8"),
    );
  });
});

describe("a project in C, with its libraries", () => {
  const example = join(repository, "examples/lua");
  const fixtures = join(repository, "test/fixtures/recipe");

  test("the examples are what their declarations say", () => {
    const { status, stdout } = spawnSync(
      join(repository, "node_modules/.bin/tsc"),
      ["-p", join(repository, "examples")],
      { encoding: "utf8" },
    );
    assert.equal(status, 0, stdout);
  });

  test("built twice, in sandboxes, with the same result; then there is nothing to do", {
    skip: noCompiler,
    timeout: 300_000,
  }, () => {
    const stores = [createTempStore("chroot"), createTempStore("chroot")];
    try {
      const [first, second] = stores.map((each) => {
        const env = { NIX_CONFIG: "sandbox = true\nsandbox-fallback = false" };
        const run = (...args: string[]) => {
          const done = each.run("silo", "silo", args, { env });
          assert.equal(done.status, 0, done.stderr);
          return { out: done.stdout.toString(), log: done.stderr };
        };
        // As if they had been fetched: the paths follow from the hashes.
        run("add", "--flat", join(fixtures, "lua-5.4.4.tar.gz"), join(fixtures, "lpeg-1.0.2.tar.gz"));
        const { log } = run("build", `${example}#test`, "--no-link", "-Q");
        assert.ok([...log.matchAll(/^building '/gm)].length >= 8, log);
        assert.equal(run("run", example, "--", "2 * (3 + 4)").out, "14\n");
        assert.equal(run("build", `${example}#test`, example, "--no-link").log, "");
        return run("path-info", "--json", "--all").out.replace(/"(registrationTime)": \d+/g, '"$1": 0');
      });
      assert.equal(first, second);
    } finally {
      for (const each of stores) each.remove();
    }
  });
});
