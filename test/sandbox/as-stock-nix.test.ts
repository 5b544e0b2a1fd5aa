import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { skipWithoutNix } from "../support/stock-nix.ts";
import { busybox, testStore } from "../support/sandboxed-builder.ts";

/**
 * What a builder can find out about where it is. Left out is what differs from run to run, or on purpose: here the root
 * is in memory, so /tmp, which is not, is a mount; its owner may not write to /etc, as in today's Nix; and
 * root's builders may not write to the kernel's files in /proc.
 */
const questions: Readonly<Record<string, string>> = {
  user: "$b id; $b cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups",
  status: "$b grep -E '^(Umask|Uid|Gid|Groups|NSpgid|NSsid|Sig[BIC]|Cap|NoNew|Seccomp)' /proc/self/status",
  limits: "$b cat /proc/self/limits",
  personality: "$b cat /proc/self/personality",
  process: "echo $$; $b tr '\\0' ' ' </proc/$$/cmdline | $b head -c 10; $b readlink /proc/self/fd/0",
  descriptors: "for fd in 0 1 2 3 4 5 6 7 8 9 10 11 12; do [ -e /proc/$$/fd/$fd ] && echo $fd; done",
  terminal: "[ -t 1 ] && [ -t 2 ] && echo yes; $b stty -a <&1; (: >/dev/tty) 2>/dev/null && echo controlling",
  devices: "$b stat -c '%A %u %g %t:%T %N' /dev /dev/* | $b grep -v kvm",
  root: "$b find / -xdev -maxdepth 1 | $b sort; $b stat -c '%A %u %g' / /tmp /build /dev/shm /dev/pts/ptmx",
  files: "$b stat -c '%A %u %g %n' /etc/*; $b cat /etc/passwd /etc/group /etc/hosts",
  store: "$b stat -c '%A %u %g' $NIX_STORE; $b ls -1 $NIX_STORE | $b grep -c .",
  network: "$b ip addr; $b hostname; $b cat /proc/sys/kernel/domainname; $b uname -n -s -m",
  mounts: "$b awk '{print $5}' /proc/self/mountinfo | $b grep -E '^/(build|dev|proc$|bin)' | $b sort | $b grep -v kvm",
  shm: "$b df -k /dev/shm | $b tail -n 1 | $b awk '{print $2}'",
};
const script = Object.entries(questions)
  .map(([name, question]) => `echo "== ${name}"; ${question}`)
  .join("\n");

function answers(log: string): Map<string, string> {
  return new Map(
    // Nix shows tabs as blanks.
    log
      .replace(/[ \t]+/g, " ")
      .split(/^== /m)
      .slice(1)
      .map((part) => {
        const end = part.indexOf("\n");
        const name = part.slice(0, end);
        return [name, part.slice(end + 1)] as const;
      }),
  );
}

describe("what a sandboxed builder sees", { skip: skipWithoutNix }, () => {
  const dir = mkdtempSync(join(tmpdir(), "silo-stock-"));
  const store = testStore();
  after(() => {
    spawnSync("chmod", ["-R", "u+w", dir]);
    rmSync(dir, { recursive: true, force: true });
    store.remove();
  });

  function stockLog(): string {
    mkdirSync(`${dir}/conf`);
    const settings = ["build-users-group =", "sandbox = true", "sandbox-fallback = false", "substituters ="];
    writeFileSync(`${dir}/conf/nix.conf`, `${settings.join("\n")}\nsandbox-paths = ${busybox}\n`);
    const env = {
      PATH: process.env["PATH"],
      NIX_STORE_DIR: `${dir}/store`,
      NIX_STATE_DIR: `${dir}/state`,
      NIX_LOG_DIR: `${dir}/log`,
      NIX_CONF_DIR: `${dir}/conf`,
    };
    const expression = `derivation { name = "probe"; system = builtins.currentSystem; builder = "${busybox}";
      args = [ "sh" "-c" (builtins.readFile ${dir}/script) ]; }`;
    writeFileSync(`${dir}/script`, `b=${busybox}\n${script}\n$b mkdir $out`);
    const drv = spawnSync("nix-instantiate", ["-E", expression], { env, encoding: "utf8" });
    const built = spawnSync("nix-store", ["-r", drv.stdout.trim()], { env, encoding: "utf8" });
    assert.equal(built.status, 0, built.stderr);
    return built.stderr.slice(built.stderr.indexOf("== "), built.stderr.lastIndexOf("warning: you did not specify"));
  }

  test("is what it sees with stock Nix", async () => {
    const expected = answers(stockLog());
    const env = { NIX_STORE: store.storeDir };
    const { log, exit } = await store.run({
      isolation: "sandbox",
      script: `b=${busybox}\n${script}\n$b mkdir $out`,
      env,
    });
    assert.deepEqual(exit, { kind: "exited", status: 0 }, log);
    assert.deepEqual(Object.fromEntries(answers(log)), Object.fromEntries(expected));
  });
});
