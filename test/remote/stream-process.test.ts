import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { RemoteEnded, type RemoteExit } from "../../src/remote/remote-process.ts";
import { streamProcess } from "../../src/remote/stream-process.ts";
import { coalescingWriter } from "../../src/remote/coalescing-writer.ts";
import { startLocally } from "../../src/remote/local-process.ts";

function pretend(highWaterMark = 1 << 16) {
  const stdin = new PassThrough({ highWaterMark });
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const { promise: ended, resolve } = Promise.withResolvers<Omit<RemoteExit, "stderr">>();
  const process = streamProcess("peer", { stdin, stdout, stderr, ended, kill() {} });
  return { process, stdin, stdout, stderr, end: (status: number) => resolve({ status, error: undefined }) };
}

test("reads are the same however the bytes arrive", async () => {
  const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 20 });
  const wants = fc.array(fc.integer({ min: 1, max: 90 }));
  await fc.assert(
    fc.asyncProperty(chunks, wants, async (pieces, sizes) => {
      const { process, stdout, end } = pretend();
      const whole = Buffer.concat(pieces);
      for (const piece of pieces) stdout.write(piece);
      stdout.end();
      let at = 0;
      for (const size of sizes) {
        if (size > whole.length - at) continue;
        const isExact = size % 2 === 0;
        const bytes = Buffer.from(isExact ? await process.reader.take(size) : await process.reader.takeSome(size));
        assert.ok(bytes.length === size || (!isExact && bytes.length > 0 && bytes.length < size));
        assert.deepEqual(bytes, whole.subarray(at, at + bytes.length));
        at += bytes.length;
        assert.equal(process.reader.offset, at);
      }
      assert.equal(await process.reader.atEnd(), at === whole.length);
      end(0);
    }),
  );
});

test("reading beyond the end says what the program said last", async () => {
  const { process, stdout, stderr, end } = pretend();
  const read = process.reader.take(8);
  stderr.write("warning: x\n\x1b[31;1merror:\x1b[0m cannot open the store\n");
  stdout.end("abc");
  setImmediate(() => end(1));
  await assert.rejects(
    async () => read,
    (error) => {
      return (
        error instanceof RemoteEnded &&
        error.status === 1 &&
        /'peer' says: warning: x\n.*cannot open the store/.test(error.message)
      );
    },
  );
});

// Two that wait for the same stream to drain: the second must not make the first be forgotten.
test("all who wait to write more are told", async () => {
  const { process, stdin, end } = pretend(16);
  const first = process.write(Buffer.alloc(64));
  const second = process.write(Buffer.alloc(64));
  assert.ok(first !== undefined && second !== undefined);
  stdin.resume();
  await Promise.all([first, second]);
  end(0);
});

test("who waits to write when the program ends is told, too", async () => {
  const { process, end } = pretend(16);
  const waiting = process.write(Buffer.alloc(64));
  end(1);
  await assert.rejects(async () => waiting, RemoteEnded);
  await assert.rejects(async () => process.write(Buffer.alloc(1)), RemoteEnded);
});

test("small writes travel together, in order, before the event loop waits", async () => {
  const { process, stdin, end } = pretend(1 << 20);
  const pieces: number[] = [];
  const received: Buffer[] = [];
  stdin.on("data", (chunk: Buffer) => {
    pieces.push(chunk.length);
    received.push(chunk);
  });
  const write = coalescingWriter(process);
  const sent: Buffer[] = [];
  for (let i = 0; i < 2000; i++) {
    const piece = Buffer.alloc(i % 97 === 0 ? 20_000 : i % 50, i);
    sent.push(Buffer.from(piece));
    await write(piece);
  }
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  assert.deepEqual(Buffer.concat(received), Buffer.concat(sent));
  assert.ok(pieces.length < 80, `${pieces.length} pieces`);
  end(0);
});

test("a program that is started here, and one that cannot be found", async () => {
  const process = startLocally("here", "cat; echo done >&2; exit 3", { PATH: "/usr/bin:/bin" });
  await process.write(Buffer.from("hello"));
  process.end();
  assert.equal(Buffer.from(await process.reader.take(5)).toString(), "hello");
  assert.deepEqual(await process.exited, { status: 3, error: undefined, stderr: "done\n" });
  const missing = startLocally("here", "exec /no/such/program", { PATH: "/usr/bin:/bin" });
  await assert.rejects(async () => missing.reader.take(1), /Cannot run the store's program on 'here'.*remote-program/s);
});
