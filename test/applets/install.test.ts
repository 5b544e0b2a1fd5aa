/** `silo install` and `silo uninstall` of an ordinary user: what is made is told before, and taken back exactly. */
import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { siloProgram } from "../support/silo-binary.ts";
import { createTempStore } from "../support/temp-store.ts";

const store = createTempStore();
after(() => store.remove());
const isRoot = process.geteuid?.() === 0;
const user = 31_950;
const home = join(store.dir, "home");
const prefix = join(home, ".local");
mkdirSync(prefix, { recursive: true });
mkdirSync(join(prefix, "share"));
writeFileSync(join(prefix, "share/of-others"), "");
if (isRoot) {
  chmodSync(store.dir, 0o755);
  for (const path of [home, prefix, join(prefix, "share")]) chownSync(path, user, user);
}
const program = join(store.dir, "silo-linux");
copyFileSync(siloProgram("silo"), program);

function run(file: string, ...args: string[]) {
  const become = isRoot ? ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups"] : [];
  const env = { HOME: home, PATH: `${process.env["PATH"]}:${prefix}/bin` };
  const result = store.run("nix", "env", [...become, file, ...args], { env });
  return { status: result.status, out: result.stdout.toString(), err: result.stderr };
}

const contents = () => readdirSync(home, { recursive: true, encoding: "utf8" }).sort();

test("told, made, made again in silence, and taken back", () => {
  const before = contents();
  const told = run(program, "install", "--dry-run");
  assert.equal(told.status, 0, told.err);
  assert.deepEqual(contents(), before);
  const made = run(program, "install");
  assert.deepEqual([made.status, made.err], [0, `installed below ${prefix}; 'silo uninstall' takes it back\n`]);
  assert.equal(readlinkSync(join(prefix, "bin/nix-store")), "silo");
  const written = told.out
    .split("\n")
    .flatMap((line) => /^(?:write|copy the executable to) (\S+)$/.exec(line)?.[1] ?? []);
  assert.ok(written.length > 4);
  for (const path of written) assert.ok(existsSync(path), path);
  // By itself, and from elsewhere, as with a new release.
  for (const file of [join(prefix, "bin/silo"), program]) assert.deepEqual(run(file, "install"), made);
  assert.equal(run(join(prefix, "bin/nix-store"), "--version").status, 0);
  const back = run(join(prefix, "bin/silo"), "uninstall");
  assert.deepEqual([back.status, back.err], [0, `uninstalled from ${prefix}; stores are left as they are\n`]);
  assert.deepEqual(contents(), before);
  const again = run(program, "uninstall");
  assert.equal(again.status, 1);
  assert.match(again.err, /^error: Cannot uninstall: there is no installation below '.*'/);
});

test("the executable that somebody put there stays", () => {
  mkdirSync(join(prefix, "bin"));
  copyFileSync(program, join(prefix, "bin/silo"));
  if (isRoot) chownSync(join(prefix, "bin"), user, user);
  const before = contents();
  const made = run(join(prefix, "bin/silo"), "install");
  assert.equal(made.status, 0, made.err);
  assert.match(made.err, /^left as it is: \S*\/bin\/silo\n/);
  assert.equal(run(program, "uninstall").status, 0);
  assert.deepEqual(contents(), before);
});
