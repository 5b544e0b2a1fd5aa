import { test } from "node:test";
import assert from "node:assert/strict";
import { once } from "node:events";
import { Writable } from "node:stream";
import fc from "fast-check";
import { gatherWrites } from "../../src/remote/ssh/gather-writes.ts";

/** What has arrived, and in how many writes. */
function recorder() {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      chunks.push(Buffer.from(chunk));
      setImmediate(done); // the buffer is in use until then
    },
  });
  return { chunks, stream };
}

test("writes of one turn go out together, before the end", async () => {
  const { chunks, stream } = recorder();
  gatherWrites(stream);
  for (const piece of ["length", "contents", "tag"]) stream.write(Buffer.from(piece));
  stream.end();
  await once(stream, "finish");
  assert.deepEqual(chunks.map(String), ["lengthcontentstag"]);
});

test("bytes may change after a write, and nothing is lost or exchanged, however long", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.integer({ min: 0, max: 600_000 }), { maxLength: 4 }), { maxLength: 6 }),
      async (turns) => {
        const { chunks, stream } = recorder();
        gatherWrites(stream);
        const expected: Buffer[] = [];
        let value = 0;
        for (const turn of turns) {
          for (const size of turn) {
            const bytes = Buffer.alloc(size, ++value);
            expected.push(Buffer.from(bytes));
            stream.write(bytes);
            bytes.fill(0);
          }
          await new Promise((resolve) => setImmediate(resolve));
        }
        stream.end();
        await once(stream, "finish");
        assert.ok(Buffer.concat(chunks).equals(Buffer.concat(expected)));
      },
    ),
    { numRuns: 20 },
  );
});

test("what is gathered for a stream that is destroyed is dropped", async () => {
  const { chunks, stream } = recorder();
  gatherWrites(stream);
  stream.write(Buffer.from("late"));
  stream.destroy();
  await once(stream, "close");
  assert.deepEqual(chunks, []);
});
