/** On machines that allow less: no namespaces, as in most containers, no right to write, no daemon. What works, and what is said. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { createTempStore, type TempStore, type TempStoreKind } from "../support/temp-store.ts";

/** Nobody makes a user namespace below this one, and its root has no privileges to make others. */
const container = [
  ...["unshare", "--user", "--map-root-user", "sh", "-c"],
  'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-sys_admin --inh-caps=-all "$@"',
  "sh",
];
const env = { NIX_CONFIG: "sandbox = true" };

function storeWithRecipe(kind: TempStoreKind): TempStore {
  const store = createTempStore(kind);
  after(() => store.remove());
  const recipe = `import { runCommand, text } from "silo";
    const words = text("words", "words");
    export const one = runCommand("one", \`cat \${words} >$out\`);
    export default runCommand("two", \`cat \${one} \${words} >$out\`);`;
  writeFileSync(join(store.dir, "silo.ts"), recipe);
  return store;
}

/** @returns exit status and verdicts */
function askDoctor(store: TempStore): [number, Record<string, string>] {
  const { status, stdout } = store.run("silo", "silo", ["doctor", "--json"], { through: container, env });
  const findings = JSON.parse(stdout.toString()) as { what: string; verdict: string }[];
  return [status, Object.fromEntries(findings.map(({ what, verdict }) => [what, verdict]))];
}

describe("without namespaces", () => {
  test("a store in its place is built in, unsandboxed, which is said once", () => {
    const store = storeWithRecipe("own-directory");
    const { status, stderr } = store.run("silo", "silo", ["build"], { through: container, env });
    assert.equal(status, 0, stderr);
    assert.equal(stderr.match(/building without a sandbox, as this system does not allow one/g)?.length, 1, stderr);
    const [exit, verdicts] = askDoctor(store);
    assert.equal(exit, 0);
    assert.deepEqual([verdicts["sandbox"], verdicts["namespaces"]], ["limited", "limited"]);
  });

  test("nor is it by force: 'sandbox-fallback = false' fails and says what to set", () => {
    const store = storeWithRecipe("own-directory");
    const strict = { NIX_CONFIG: "sandbox = true\nsandbox-fallback = false" };
    const { status, stderr } = store.run("silo", "silo", ["build"], { through: container, env: strict });
    assert.equal(status, 1);
    assert.match(stderr, /does not allow a sandbox \(.*\); set 'sandbox-fallback = true' to build without one$/m);
  });

  test("a store that is elsewhere cannot be built in, and who asks is told so", () => {
    const store = storeWithRecipe("chroot");
    const { status, stderr } = store.run("silo", "silo", ["build"], { through: container, env });
    assert.equal(status, 1);
    assert.match(stderr, /only a sandbox shows builders the store in '.*' as '\/nix\/store'; 'silo doctor' says/);
    const [exit, verdicts] = askDoctor(store);
    assert.deepEqual([exit, verdicts["namespaces"]], [1, "bad"]);
  });
});

test("who may only read a store is told whom to ask", { skip: process.geteuid?.() !== 0 && "needs root" }, () => {
  const store = storeWithRecipe("own-directory");
  store.output("silo", ["--init"]);
  const through = ["sh", "-c", `chmod 755 ${store.dir} && exec setpriv --reuid 31950 --clear-groups "$@"`, "sh"];
  const { status, stderr } = store.run("silo", "silo", ["build"], { through });
  assert.equal(status, 1);
  assert.match(stderr, /no permission to write '.*'; run as its owner, have the owner run 'silo daemon', or /);
});

test("who asks for a daemon that is not there is told who starts it", () => {
  const store = storeWithRecipe("own-directory");
  const { status, stderr } = store.run("silo", "silo", ["path-info", "--all"], { env: { NIX_REMOTE: "daemon" } });
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^error: connecting to the socket '.*': No such file or directory; .*'silo daemon', as root, does$/m,
  );
});
