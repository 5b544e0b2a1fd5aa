import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Codec } from "../../../src/formats/codec.ts";
import { bytesReader } from "../../../src/formats/bytes-reader.ts";
import { runSync } from "../../../src/formats/codec.ts";
import {
  BadMagic,
  finishGreeting,
  greetClient,
  greetServer,
  type ServerHello,
  type ServerOffer,
} from "../../../src/formats/worker-protocol/handshake.ts";
import {
  BadVersion,
  deleteReferrers,
  newestMinor,
  oldestMinor,
  realisationByPath,
} from "../../../src/formats/worker-protocol/version.ts";

const offer: ServerOffer = {
  minor: newestMinor,
  features: [deleteReferrers, "something-new"],
  nixVersion: "2.18.0",
  trust: "trusted",
};

/** Lets a client and a server greet each other, each going on as far as it can. */
function converse(clientMinor: number, server: ServerOffer) {
  const toServer: number[] = [];
  const toClient: number[] = [];
  const client = greetServer((bytes) => toServer.push(...bytes), clientMinor);
  const serverCodec = (function* (): Codec<{ minor: number; features: ReadonlySet<string> }> {
    const agreement = yield* greetClient(server, (bytes) => toClient.push(...bytes));
    yield* finishGreeting(server, agreement, (bytes) => toClient.push(...bytes));
    return agreement;
  })();
  const sides = [
    {
      codec: serverCodec as Codec<unknown>,
      input: toServer,
      step: serverCodec.next() as IteratorResult<number, unknown>,
    },
    { codec: client as Codec<unknown>, input: toClient, step: client.next() as IteratorResult<number, unknown> },
  ];
  for (let moved = true; moved; ) {
    moved = false;
    for (const side of sides) {
      if (side.step.done || side.input.length < side.step.value) continue;
      side.step = side.codec.next(Uint8Array.from(side.input.splice(0, side.step.value)));
      moved = true;
    }
  }
  assert.deepEqual(toServer, []);
  assert.deepEqual(toClient, []);
  assert.ok(sides.every(({ step }) => step.done));
  return { server: sides[0]!.step.value, client: sides[1]!.step.value as ServerHello };
}

describe("handshake", () => {
  test("both sides agree in every pair of versions", () => {
    for (let client = oldestMinor; client <= newestMinor; client++) {
      for (const server of [oldestMinor, 14, 21, 33, 34, 35, 37, newestMinor]) {
        const minor = Math.min(client, server);
        const features = new Set(minor >= 38 ? [deleteReferrers] : []);
        assert.deepEqual(converse(client, { ...offer, minor: server }), {
          server: { minor, features },
          client: {
            minor,
            features,
            nixVersion: minor >= 33 ? "2.18.0" : undefined,
            trust: minor >= 35 ? "trusted" : "unknown",
          },
        });
      }
    }
    assert.notEqual(realisationByPath, deleteReferrers);
  });

  test("the bytes of Nix 2.8.0", () => {
    const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
    const client = bytesReader(hex("6378696e00000000 2201000000000000 0000000000000000 0000000000000000"), "client");
    const sent: Uint8Array[] = [];
    const server = { ...offer, minor: 34, nixVersion: "2.8.0" };
    const agreement = runSync(
      greetClient(server, (bytes) => sent.push(bytes)),
      client,
    );
    runSync(
      finishGreeting(server, agreement, (bytes) => sent.push(bytes)),
      client,
    );
    assert.equal(client.left(), 0);
    assert.equal(
      Buffer.concat(sent).toString("hex"),
      hex("6f69786400000000 2201000000000000 0500000000000000 322e382e30000000").toString("hex"),
    );
  });

  test("strangers and the very old are refused", () => {
    const greet = (text: string) =>
      runSync(
        greetClient(offer, () => {}),
        bytesReader(Buffer.from(text.padEnd(32, "\0"), "latin1"), "client"),
      );
    assert.throws(() => greet("GET / HTTP/1.0\r\n"), BadMagic);
    assert.throws(() => greet("cxin\0\0\0\0\x09\x01"), BadVersion);
    assert.throws(() => greet("cxin\0\0\0\0\x22\x02"), BadVersion);
  });
});
