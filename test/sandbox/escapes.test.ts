import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { after, before, describe, test } from "node:test";
import { parseStorePath } from "../../src/formats/store-path.ts";
import { buildUser, type Case, isRoot, testStore } from "../support/sandboxed-builder.ts";

/** Every attempt ends with exit status 0 when it was refused, and with 7 when it succeeded. */
const refused = { kind: "exited", status: 0 } as const;

/** As the calling user, and as root with a build user, too. */
const users: readonly (readonly [string, Pick<Case, "user">])[] = [
  ["as the caller", {}],
  ...(isRoot ? ([["as a build user", { user: buildUser }]] as const) : []),
];

for (const [who, user] of users) {
  describe(`a sandboxed builder ${who} cannot`, () => {
    const store = testStore();
    const input = parseStorePath("22222222222222222222222222222222-input");
    const inputFile = parseStorePath("33333333333333333333333333333333-file");
    const undeclared = parseStorePath("44444444444444444444444444444444-undeclared");

    before(() => {
      mkdirSync(`${store.storeDir}/${input}`);
      writeFileSync(`${store.storeDir}/${input}/data`, "data");
      chmodSync(`${store.storeDir}/${input}/data`, 0o444);
      writeFileSync(`${store.storeDir}/${inputFile}`, "file", { mode: 0o444 });
      writeFileSync(`${store.storeDir}/${undeclared}`, "undeclared", { mode: 0o444 });
    });
    after(() => store.remove());

    async function attempt(script: string, more: Partial<Case> = {}) {
      const { exit, log } = await store.run({
        isolation: "sandbox",
        ...user,
        script: `b=/bin/busybox; s=${store.storeDir}; ${script}`,
        ...more,
        sandbox: { inputs: [input, inputFile], ...more.sandbox },
      });
      assert.deepEqual(exit, refused, log);
      return log;
    }

    test("see store paths that it has not declared", async () => {
      const log = await attempt(
        `$b cat $s/${undeclared} 2>/dev/null && exit 7; $b cat $s/${input}/data $s/${inputFile}; $b ls $s`,
      );
      assert.match(log, /datafile/);
      assert.doesNotMatch(log, /44444/);
    });

    test("change its inputs, whoever owns them", async () => {
      await attempt(
        `for p in $s/${input}/data $s/${inputFile} $s/${input}; do $b chmod 777 $p && exit 7; done
         for p in $s/${input}/data $s/${inputFile} $s/${input}/new; do (echo x > $p) && exit 7; done
         $b rm -f $s/${input}/data && exit 7; $b mv $s/${inputFile} $s/other && exit 7; true`,
      );
      assert.equal(readFileSync(`${store.storeDir}/${input}/data`, "utf8"), "data");
      assert.equal(readFileSync(`${store.storeDir}/${inputFile}`, "utf8"), "file");
    });

    test("make hard links to what is outside of its output", async () => {
      await attempt(
        `$b mkdir $out; for p in $s/${input}/data $s/${inputFile} /bin/busybox /etc/passwd /proc/version; do
           $b ln $p $out/link && exit 7; done; $b rm -r $out`,
      );
    });

    test("see or change files of the host", async () => {
      await attempt(
        `for p in /etc/shadow /etc/hostname /root /home /usr /var /run /sys ${import.meta.filename} ${store.dir}/build-0; do
           [ -e $p ] && exit 7; done
         (echo x > /bin/busybox) && exit 7; $b chmod 777 /bin/busybox && exit 7; true`,
      );
    });

    test("change devices of the host, but writes to them", async () => {
      const modes = () => ["null", "zero", "tty"].map((name) => statSync(`/dev/${name}`).mode & 0o777);
      const before = modes();
      await attempt(
        `for d in null zero tty; do $b chmod $($b stat -c %a /dev/$d) /dev/$d && exit 7; $b chown $($b id -u) /dev/$d && exit 7; done
         echo x >/dev/null && echo y >>/dev/zero`,
      );
      assert.deepEqual(modes(), before);
    });

    test("make a file that runs with its owner's rights", async () => {
      await attempt(
        `echo x > f; for m in u+s g+s 4755 2755 6755; do $b chmod $m f && exit 7; done
         $b mknod $PWD/n b 254 0 && exit 7; $b mkdir d; $b chmod 2755 d && exit 7; true`,
      );
    });

    test("see or signal other processes", async () => {
      const log = await attempt(`$b kill -0 ${process.pid} && exit 7; [ $$ = 1 ] || exit 7; $b ls -1 /proc; true`);
      assert.equal(log.split("\n").filter((name) => /^[0-9]+$/.test(name)).length, 2);
    });

    test("reach the network", async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as { port: number };
      try {
        const log = await attempt(`$b nc -w 1 127.0.0.1 ${port} </dev/null && exit 7; $b ip addr`);
        assert.match(log, /lo: <LOOPBACK,UP,LOWER_UP>/);
        assert.equal(log.match(/^[0-9]+: /gm)?.length, 1);
      } finally {
        server.close();
      }
    });

    test("change settings of the kernel", async () => {
      await attempt(
        `for p in sys/kernel/core_pattern sys/kernel/hostname sys/vm/swappiness irq/default_smp_affinity sysrq-trigger; do
           [ -e /proc/$p ] || continue; v=$($b cat /proc/$p 2>/dev/null); (echo "$v" >/proc/$p) && exit 7; done
         echo 5 >/proc/self/oom_score_adj`,
      );
    });

    test("mount, or make namespaces with more rights", async () => {
      await attempt(
        `$b mount -t tmpfs none /tmp && exit 7; $b umount /build && exit 7; $b chroot / $b true && exit 7
         $b hostname other && exit 7; $b mount -o remount,rw $s/${inputFile} && exit 7; true`,
      );
    });

    test("keep a process that waits until it is alone with its output", async () => {
      const marker = `${store.storeDir}/${store.output}`;
      const script = `$b mkdir $out; echo built > $out/file; exec 5>$out/file
        ($b setsid $b sh -c '$b sleep 300; echo changed >&5' >/dev/null 2>&1 </dev/null &) ; echo built >&5`;
      const started = performance.now();
      await attempt(script);
      assert.ok(performance.now() - started < 60_000);
      assert.equal(readFileSync(`${marker}/file`, "utf8"), "built\n");
      assert.equal(existsSync(`${store.storeDir}/build-0.drv.chroot`), false);
    });

    test("leave its sandbox on disk", async () => {
      await attempt("$b mkdir -p /tmp/a/b; $b chmod 0 /tmp/a; echo x > /tmp/file; $b mkdir $s/not-an-output");
      const left = (await import("node:fs")).readdirSync(store.storeDir).filter((name) => name.includes("chroot"));
      assert.deepEqual(left, []);
      assert.equal(existsSync(`${store.storeDir}/not-an-output`), false);
    });
  });
}

test("set-id files cannot be made without a sandbox either", async () => {
  const store = testStore();
  try {
    const script = "echo x > f; /bin/busybox chmod u+s f && exit 7; /bin/busybox mkdir $out";
    const { exit, log } = await store.run({ isolation: "none", script });
    assert.deepEqual(exit, refused, log);
    assert.ok(statSync(store.out).isDirectory());
  } finally {
    store.remove();
  }
});
