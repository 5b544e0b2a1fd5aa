import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { startChild } from "../../src/sys/child-process.ts";
import { close, pipe, read } from "../../src/sys/descriptor.ts";
import { makeDirectory, makeFile, removeFile } from "../../src/sys/mount-calls.ts";
import { nativeMemory } from "../../src/sys/native-memory.ts";
import { type PlannedCall, performCalls } from "../../src/sys/planned-calls.ts";
import { closeFrom, duplicate, executeProgram, exit } from "../../src/sys/process-calls.ts";
import { duplicateFrom, peekEnd, reap } from "../../src/sys/process.ts";

const dir = mkdtempSync(join(tmpdir(), "silo-child-"));
after(() => rmSync(dir, { recursive: true, force: true }));

/** Makes the calls in a new process: how it ended, and the index and errno that it reported. */
function inChild(calls: readonly PlannedCall[], returns: "when-executed" | "at-once") {
  const ends = pipe();
  const channel = duplicateFrom(ends.write, 20);
  // As the calls expect it: 3 is the channel, 4 is taken, and from 5 on all is free.
  const setUp = [duplicate(channel, 3, "own"), duplicate(channel, 4, "own"), closeFrom(5)];
  const { pid, memory } = startChild({ namespaces: 0, returns, calls: [...setUp, ...calls] });
  for (const fd of [ends.write, channel]) close(fd);
  const end = reap(pid);
  const report = Buffer.alloc(64);
  const size = read(ends.read, report);
  close(ends.read);
  assert.ok(memory);
  if (size === 0) return { end };
  assert.equal(size, 16);
  return { end, index: Number(report.readBigUInt64LE(0)) - setUp.length, errno: Number(report.readBigUInt64LE(8)) };
}

const ENOENT = 2;

describe("planned calls", () => {
  for (const returns of ["when-executed", "at-once"] as const) {
    test(`are made one after the other by a new process (${returns})`, () => {
      const path = `${dir}/${returns}`;
      const calls = [
        makeDirectory(path, 0o755),
        makeDirectory(path, 0o755),
        ...makeFile(`${path}/file`, Buffer.from("x")),
      ];
      assert.deepEqual(inChild([...calls, exit()], returns), { end: { kind: "exited", status: 0 } });
      assert.equal(readFileSync(`${path}/file`, "latin1"), "x");
    });
  }

  test("end with a program, which gets its arguments and environment", () => {
    const args = ["sh", "-c", 'test "$1$NAME" = "a\nb" && exit 42', "sh", "a\n"];
    const { end } = inChild([executeProgram("/bin/sh", args, ["NAME=b"])], "when-executed");
    assert.deepEqual(end, { kind: "exited", status: 42 });
  });

  test("stop at the first that fails, and say which and why", () => {
    const calls = [
      makeDirectory(`${dir}/fails`, 0o755),
      removeFile(`${dir}/nothing`),
      makeDirectory(`${dir}/never`, 0o755),
    ];
    const expected = { end: { kind: "exited", status: 1 }, index: 1, errno: ENOENT } as const;
    assert.deepEqual(inChild([...calls, exit()], "at-once"), expected);
    assert.deepEqual(inChild([executeProgram("/no/such", [], [])], "when-executed"), { ...expected, index: 0 });
    assert.throws(() => readFileSync(`${dir}/never`), { code: "ENOENT" });
  });

  test("do the same in this process", () => {
    const calls = [...makeFile(`${dir}/here`, Buffer.from("here")), { ...removeFile(`${dir}/gone`), mayFail: ENOENT }];
    assert.equal(performCalls(calls), undefined);
    assert.equal(readFileSync(`${dir}/here`, "latin1"), "here");
    assert.deepEqual(performCalls([...calls.slice(3), removeFile(`${dir}/gone`)]), { index: 1, errno: ENOENT });
  });

  test("are there in great numbers as well", () => {
    const many = Array.from({ length: 3000 }, (_, i) => makeDirectory(`${dir}/many-${i % 10}`, 0o755));
    assert.deepEqual(inChild([...many, exit()], "at-once"), { end: { kind: "exited", status: 0 } });
  });
});

test("a running child is seen to run, and to have ended when it has", () => {
  const ends = pipe();
  const fd = duplicateFrom(ends.read, 20);
  const calls = [duplicate(fd, 3, "own"), duplicate(fd, 0, "inherited"), closeFrom(4)];
  const { pid } = startChild({
    namespaces: 0,
    returns: "when-executed",
    calls: [...calls, executeProgram("/bin/sh", ["sh", "-c", "read line; exit 3"], [])],
  });
  assert.equal(peekEnd(pid), undefined);
  for (const end of [ends.read, ends.write, fd]) close(end);
  assert.deepEqual(reap(pid), { kind: "exited", status: 3 });
});

test("native memory is aligned, and no more than was reserved", () => {
  const memory = nativeMemory(64);
  const address = memory.reserve(32);
  assert.equal(address % 16, 0);
  assert.throws(() => memory.reserve(64));
});
