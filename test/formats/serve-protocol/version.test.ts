import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesReader } from "../../../src/formats/bytes-reader.ts";
import { runSync } from "../../../src/formats/codec.ts";
import {
  BadServeMagic,
  BadServeVersion,
  encodeClientGreeting,
  encodeOldClientGreeting,
  greetServeClient,
  readServerGreeting,
} from "../../../src/formats/serve-protocol/version.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

function serve(client: Uint8Array) {
  const sent: Uint8Array[] = [];
  const version = runSync(
    greetServeClient((bytes) => sent.push(bytes)),
    bytesReader(client, "client"),
  );
  return { version, sent: Buffer.concat(sent).toString("hex") };
}

// The client's bytes are those of Nix 2.8.0 (version 2.7).
test("a server answers today's client and that of Nix 1.7", () => {
  const answer = hex("cbee525400000000 0802000000000000").toString("hex");
  assert.deepEqual(serve(hex("eb9d0c3900000000 0702000000000000")), { version: { kind: "2", minor: 7 }, sent: answer });
  assert.deepEqual(serve(encodeClientGreeting()).version, { kind: "2", minor: 8 });
  assert.deepEqual(serve(encodeOldClientGreeting()), { version: { kind: "1.1" }, sent: answer });
});

test("a client takes the lesser version, and knows Nix 1.7", () => {
  const read = (text: string) => runSync(readServerGreeting(), bytesReader(hex(text), "server"));
  assert.deepEqual(read("cbee525400000000 0702000000000000"), { kind: "2", minor: 7 });
  assert.deepEqual(read("cbee525400000000 ff02000000000000"), { kind: "2", minor: 8 });
  assert.deepEqual(read("cbee525400000000 0002000000000000"), { kind: "2", minor: 0 });
  assert.deepEqual(read("cbee525400000000 0101000000000000"), { kind: "1.1" });
  assert.throws(() => read("cbee525400000000 0103000000000000"), BadServeVersion);
});

test("what greets in another way is quoted", () => {
  const read = () => runSync(readServerGreeting(), bytesReader(Buffer.from("Welcome to our server!\n"), "server"));
  assert.throws(read, (error) => error instanceof BadServeMagic && error.message.endsWith('it began with "Welcome "'));
  assert.throws(() => serve(Buffer.from("GET / HTTP/1.1\r\n")), BadServeMagic);
});
