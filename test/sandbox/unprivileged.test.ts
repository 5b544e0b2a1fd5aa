import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { busybox, type Case, isRoot, type Outcome } from "../support/sandboxed-builder.ts";

/** Anybody but root. */
const user = { uid: 31_950, gid: 31_950 };
const driver = `${import.meta.dirname}/../support/sandbox-driver.ts`;

describe("an ordinary user", { skip: isRoot ? false : "needs root to become somebody else" }, () => {
  const dir = mkdtempSync(join(tmpdir(), "silo-unprivileged-"));
  chmodSync(dir, 0o777);
  after(() => rmSync(dir, { recursive: true, force: true }));

  async function run(what: Case, wrapper: readonly string[] = []): Promise<Outcome> {
    mkdirSync(`${dir}/tmp`, { recursive: true });
    chmodSync(`${dir}/tmp`, 0o777);
    const [program, ...args] = [...wrapper, process.execPath, driver];
    const silo = spawn(program!, args, {
      ...user,
      cwd: dir,
      env: { TMPDIR: `${dir}/tmp`, HOME: dir, PATH: process.env["PATH"] },
      stdio: ["pipe", "pipe", "inherit"],
    });
    silo.stdin.end(JSON.stringify({ case: what }));
    let output = "";
    silo.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    await new Promise((resolve) => silo.on("close", resolve));
    const end = output.lastIndexOf("\n", output.length - 2) + 1;
    return { log: output.slice(0, end), ...(JSON.parse(output.slice(end)) as Omit<Outcome, "log">) };
  }

  test("builds in a sandbox, in a user namespace", async () => {
    const script = `b=${busybox}; $b id; $b cat /proc/self/uid_map; echo $$; $b grep Seccomp: /proc/self/status
      $b mkdir $out; echo x > $out/file; $b chmod -R a-w $out; [ -e /etc/shadow ] && exit 7; exit 0`;
    const { log, exit, warnings } = await run({ isolation: "sandbox", script });
    assert.deepEqual([exit, warnings], [{ kind: "exited", status: 0 }, []], log);
    const lines = log.split("\n").map((line) => line.trim().replace(/\s+/g, " "));
    assert.deepEqual(lines, ["uid=1000(nixbld) gid=100(nixbld)", `1000 ${user.uid} 1`, "1", "Seccomp: 2", ""]);
  });

  test("builds without one", async () => {
    const script = `${busybox} id -u; ${busybox} sleep 300 & exit 3`;
    const { log, exit } = await run({ isolation: "none", script });
    assert.deepEqual([exit, log], [{ kind: "exited", status: 3 }, `${user.uid}\n`]);
  });

  /** As many systems are set up: nobody makes a user namespace. */
  const noNamespaces = [
    ...["unshare", "--user", "--map-root-user", "sh", "-c"],
    'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"',
    "sh",
  ];

  test("is told what to set where the kernel allows no sandbox", async () => {
    const { exit, log } = await run({ isolation: "sandbox", script: "echo ran" }, noNamespaces);
    assert.deepEqual(
      [exit, log],
      [
        {
          kind: "setup-failed",
          reason:
            "this system does not allow a sandbox (making namespaces: No space left on device); " +
            "set 'sandbox-fallback = true' to build without one",
        },
        "",
      ],
    );
  });

  test("builds without a sandbox there when told to, and hears of it", async () => {
    const what: Case = {
      isolation: "sandbox",
      script: `echo $NIX_BUILD_TOP $TMPDIR; ${busybox} pwd; ${busybox} mkdir $out`,
      env: { TMPDIR: "/build/tmp" },
      sandbox: { ifImpossible: "run-unsandboxed" },
    };
    const { exit, log, warnings } = await run(what, noNamespaces);
    assert.deepEqual(exit, { kind: "exited", status: 0 }, log);
    assert.match(log, /^(\/.*\/build-0) \1\/tmp\n\1\n$/);
    assert.match(warnings.join("\n"), /^building without a sandbox, as this system does not allow one: /);
  });
});
