import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { personaFor } from "../../src/sandbox/persona.ts";
import { compileFor } from "../../src/sandbox/refused-calls.ts";

const allow = 0x7fff0000;
const kill = 0x80000000;
const errno = (number: number) => 0x00050000 + number;
const [EPERM, ENOSYS, ENOTSUP] = [1, 38, 95];
const [x64, x86, arm64, arm] = [0xc000003e, 0x40000003, 0xc00000b7, 0x40000028];

/** The kernel's machine, as far as the filter uses it. */
function run(program: Uint8Array, arch: number, number: number, args: readonly number[] = []): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, number, true);
  data.setUint32(4, arch, true);
  for (const [index, arg] of args.entries()) data.setBigUint64(16 + 8 * index, BigInt.asUintN(64, BigInt(arg)), true);
  const view = new DataView(program.buffer, program.byteOffset, program.length);
  let accumulator = 0;
  for (let at = 0; ; ) {
    const code = view.getUint16(at * 8, true);
    const [jt, jf, k] = [view.getUint8(at * 8 + 2), view.getUint8(at * 8 + 3), view.getUint32(at * 8 + 4, true)];
    at++;
    if (code === 0x20) accumulator = data.getUint32(k, true);
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x15) at += accumulator === k ? jt : jf;
    else if (code === 0x45) at += (accumulator & k) !== 0 ? jt : jf;
    else if (code === 0x05) at += k;
    else if (code === 0x06) return k;
    else assert.fail(`unknown instruction ${code}`);
  }
}

describe("the filter of system calls", () => {
  const x32 = 0x40000000;
  const O_CREAT = 0o100;
  const O_TMPFILE = 0o20200000;

  test("refuses set-id modes, for every architecture that the machine runs", () => {
    // architecture, number, where the mode is
    const calls = [
      ["x64", x64, 90, 1],
      ["x64", x64, 91, 1],
      ["x64", x64, 268, 2],
      ["x64", x64, 452, 2],
      ["x64", x64, 85, 1],
      ["x64", x64, 133, 1],
      ["x64", x64, 259, 2],
      ["x64", x64, x32 + 90, 1],
      ["x64", x64, x32 + 268, 2],
      ["x64", x86, 15, 1],
      ["x64", x86, 94, 1],
      ["x64", x86, 306, 2],
      ["x64", x86, 452, 2],
      ["arm64", arm64, 52, 1],
      ["arm64", arm64, 53, 2],
      ["arm64", arm64, 452, 2],
      ["arm64", arm, 15, 1],
      ["arm64", arm, 94, 1],
      ["arm64", arm, 333, 2],
    ] as const;
    for (const [machine, arch, number, position] of calls) {
      const program = compileFor(machine);
      const withMode = (mode: number) => run(program, arch, number, [...new Array<number>(position).fill(-1), mode]);
      for (const mode of [0o4755, 0o2755, 0o6000, 0o104644]) assert.equal(withMode(mode), errno(EPERM), String(number));
      for (const mode of [0, 0o755, 0o1777]) assert.equal(withMode(mode), allow, String(number));
    }
  });

  test("looks at the mode of open only where there is one", () => {
    const program = compileFor("x64");
    for (const [number, flags] of [
      [2, 1],
      [257, 2],
    ] as const) {
      const open = (how: number, mode: number) => {
        return run(program, x64, number, [...new Array<number>(flags).fill(0), how, mode]);
      };
      assert.equal(open(O_CREAT | 1, 0o4755), errno(EPERM));
      assert.equal(open(O_TMPFILE | 1, 0o2755), errno(EPERM));
      assert.equal(open(O_CREAT | 1, 0o755), allow);
      assert.equal(open(0, 0o7777), allow);
    }
  });

  test("knows no extended attributes, nor calls that it cannot look into", () => {
    const xattr = [
      ["x64", x64, 188],
      ["x64", x86, 226],
      ["arm64", arm64, 5],
      ["arm64", arm, 226],
    ] as const;
    for (const [machine, arch, first] of xattr) {
      const program = compileFor(machine);
      for (let number = first; number < first + 9; number++) assert.equal(run(program, arch, number), errno(ENOTSUP));
      for (const number of [463, 464, 465]) assert.equal(run(program, arch, number), errno(ENOTSUP));
      for (const number of [425, 437]) assert.equal(run(program, arch, number), errno(ENOSYS));
      assert.equal(run(program, arch, first + 9), allow); // removexattr
      assert.equal(run(program, arch, 1), allow);
    }
  });

  test("knows no keys, which are the caller's", () => {
    const keys = [
      ["x64", x64, 248],
      ["x64", x64, x32 + 248],
      ["x64", x86, 286],
      ["arm64", arm64, 217],
      ["arm64", arm, 309],
    ] as const;
    for (const [machine, arch, first] of keys) {
      const answers = [-1, 0, 1, 2, 3].map((offset) => run(compileFor(machine), arch, first + offset));
      assert.deepEqual(answers, [allow, errno(ENOSYS), errno(ENOSYS), errno(ENOSYS), allow], String(first));
    }
  });

  test("ends processes of another architecture", () => {
    assert.equal(run(compileFor("x64"), arm64, 1), kill);
    assert.equal(run(compileFor("arm64"), x64, 1), kill);
  });
});

test("the personality follows from the system", () => {
  const noRandomAddresses = 0x40000;
  assert.equal(personaFor("x86_64-linux", "x64", "real"), noRandomAddresses);
  assert.equal(personaFor("i686-linux", "x64", "real"), noRandomAddresses | 8);
  assert.equal(personaFor("i686-linux", "x64", "2.6"), noRandomAddresses | 8 | 0x20000);
  assert.equal(personaFor("armv7l-linux", "arm64", "2.6"), noRandomAddresses | 8);
  assert.equal(personaFor("builtin", "x64", "2.6"), noRandomAddresses);
});
