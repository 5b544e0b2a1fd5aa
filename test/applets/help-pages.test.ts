/** Every help page, read as a person would: its examples are run as they are printed, or where that takes another machine, parsed. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, describe, test } from "node:test";
import { nixApplets, siloApplets } from "../../src/applets/applet-table.ts";
import { siloProgram } from "../support/silo-binary.ts";
import { createTempStore } from "../support/temp-store.ts";

const store = createTempStore();
after(() => store.remove());
const work = join(store.dir, "work");
const bin = join(store.dir, "bin");
for (const dir of [work, bin, join(work, "src"), join(work, ".config/fish/completions")]) {
  mkdirSync(dir, { recursive: true });
}
for (const name of ["silo", ...Object.keys(nixApplets)]) symlinkSync(siloProgram(name), join(bin, name));
const tool = `mkdir -p $out/bin; for name in hello hello-debug; do printf '#!/bin/sh\\necho "$@"\\n' >$out/bin/$name; done; chmod +x $out/bin/*`;
const recipe = `import { runCommand } from "silo";
  export const hello = runCommand("hello", ${JSON.stringify(tool)});
  export default hello;`;
writeFileSync(join(work, "silo.ts"), recipe);
const library = `import { runCommand } from "silo";
  export const zlib = runCommand("zlib", "touch $out $dev", { outputs: ["out", "dev"] });`;
writeFileSync(join(work, "libs.ts"), library);
writeFileSync(join(work, "Makefile"), "test:\n\t@echo tested\n");
for (const name of ["v1.tar.gz", "foo.c", "FILE", "src.nar", "src/main.c"]) writeFileSync(join(work, name), name);

function run(line: string) {
  const env = { PATH: `${bin}:${process.env["PATH"]}`, HOME: work };
  return store.run("nix", "bash", ["-c", line], { cwd: work, env });
}

function helpOf(words: string): string {
  const { status, stdout, stderr } = run(`${words} --help`);
  assert.equal(status, 0, `${words}: ${stderr}`);
  assert.equal(stderr, "", words);
  return stdout.toString();
}

/** Commands of groups are listed by the group. */
const ownCommands = Object.keys(siloApplets).flatMap((name) => {
  const members = [...helpOf(`silo ${name}`).matchAll(new RegExp(`^  (silo ${name} [a-z]+) {2,}`, "gm"))];
  return members.length > 0 ? members.map(([, member]) => member!) : [`silo ${name}`];
});
const commands = [...ownCommands, ...Object.keys(nixApplets)];

/** What takes another machine or other rights, runs on, or names a path that only its reader knows. */
const notHere =
  /…|sudo|server|HOST|daemon|install|^silo (serve|shell$|store repair|gc --max)|which|\/mnt|type -p|-q|nix-collect/;

for (const command of commands) {
  test(`the examples of ${command}`, () => {
    const page = helpOf(command);
    assert.match(page, new RegExp(`^${command}: [A-Z][^\\n]*[^.\\n]\\n\\nExamples:\\n`));
    assert.match(page, new RegExp(`^Usage:\\n  ${command}`, "m"));
    for (const line of page.split("\n")) assert.ok(line.length <= 120, line);
    const examples = [...page.matchAll(/^ {2}\$ (.*)$/gm)].map(([, example]) => example!);
    for (const example of examples) {
      const { status, stderr } = run(notHere.test(example) ? parseOnly(example) : example);
      assert.equal(status, 0, `${example}: ${stderr}`);
    }
  });
}

/** With `--help` a command that understands its line prints its page. */
function parseOnly(example: string): string {
  const line = example.replace(/^sudo (\.\/)?|^\.\/|^[A-Z_]+=\S+ /, "").replace(/\$\(.*\)/, "PATH");
  return `${line.replace(/ \|.*| --? [^']*$/, "").replace(/^nix-build/, "nix-store")} --help`;
}

describe("finding help", () => {
  test("'silo help COMMAND' is its page", () => {
    assert.equal(run("silo help nar ls").stdout.toString(), helpOf("silo nar ls"));
    assert.equal(run("silo help nix-store").stdout.toString(), helpOf("silo nix-store"));
    const { status, stderr } = run("silo help biuld");
    assert.deepEqual(
      [status, stderr.split("\n")[0]],
      [1, "error: 'biuld' is not a command of silo; did you mean 'build'?"],
    );
  });

  test("an option with a slip in it is told", () => {
    const { stderr } = run("silo build --print-outpaths");
    assert.equal(
      stderr.split("\n")[0],
      "error: unrecognised flag '--print-outpaths'; did you mean '--print-out-paths'?",
    );
    assert.match(run("silo build -z").stderr, /^error: unrecognised flag '-z'$/m);
  });

  test("the README's command lines are understood", () => {
    const readme = readFileSync(resolve(import.meta.dirname, "../../README.md"), "utf8");
    const lines = [
      ...readme.matchAll(/^[$#] (?:NIX_REMOTE=\S+ )?((?:silo|nix-copy-closure)\b[^#\n]*('[^']*'[^#\n]*)?)/gm),
    ];
    assert.ok(lines.length > 15);
    for (const [, line] of lines) {
      const { status, stderr } = run(parseOnly(line!.trim().replace(/ > \w+$/, "")));
      assert.equal(status, 0, `${line}: ${stderr}`);
    }
  });
});

describe("completion", () => {
  const complete = (...words: string[]) => {
    const { stdout } = run(`silo --get-yargs-completions ${words.map((word) => `"${word}"`).join(" ")}`);
    return stdout.toString().split("\n").slice(0, -1);
  };

  test("of commands, their commands and their options", () => {
    assert.deepEqual(complete("nar", "d"), ["dump"]);
    assert.deepEqual(complete("help", "unin"), ["uninstall"]);
    assert.deepEqual(complete("build", "--print-out"), ["--print-out-paths"]);
    assert.deepEqual(complete("completion", ""), ["bash", "zsh", "fish"]);
  });

  test("of what recipes export, with quotes as bash gives them", () => {
    assert.deepEqual(complete("build", "./libs.ts#z"), ["./libs.ts#zlib"]);
    assert.deepEqual(complete("run", ".#"), [".#hello"]);
    assert.deepEqual(complete("shell", "'#he"), ["#hello"]);
    assert.deepEqual(complete("build", "./nowhere.ts#"), []);
  });

  test("of store paths, for programs of Nix too", () => {
    const [path] = store.output("silo", ["--add", join(work, "foo.c")]).split("\n");
    assert.ok(complete("path-info", `${store.storeDir}/`).includes(path!));
    const { stdout } = run(`nix-store --get-yargs-completions -q ${path!.slice(0, -3)}`);
    assert.equal(stdout.toString(), `${path}\n`);
  });

  test("in the shells themselves", { skip: run("fish --version").status !== 0 && "fish is not installed" }, () => {
    const { stdout } = run(
      "silo completion fish | source; complete -C 'silo build ./libs.ts#z'".replace(/.*/, 'fish -c "$&"'),
    );
    assert.equal(stdout.toString(), "./libs.ts#zlib\n");
  });
});
