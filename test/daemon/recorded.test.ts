/** Recorded conversations with stock Nix's daemon (test/fixtures/worker-protocol): understood to the last byte, and held again with silo's. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { daemonServices } from "../../src/applets/daemon/daemon-services.ts";
import { defaultStoreDir } from "../../src/formats/store-path.ts";
import type { LocalStore } from "../../src/store/local-store.ts";
import { openLocalStore } from "../../src/store/open-local-store.ts";
import { silentReporter } from "../../src/store/reporter.ts";
import { serveBytes } from "../support/daemon-conversation.ts";
import { decodeConversation, type Exchange, type RecordedConversation } from "../support/recorded-conversation.ts";
import { settingsOf } from "../support/settings-facts.ts";
import { type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";

const folder = join(import.meta.dirname, "../fixtures/worker-protocol");
const recordings = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .map((name) => ({ name, ...(JSON.parse(readFileSync(join(folder, name), "utf8")) as RecordedConversation) }))
  .sort((a, b) => a.position - b.position);

/** Paths are in /nix/store as in the recordings, files in the fixture. */
function openRecordedStore({ dir, directories }: StoreFixture): LocalStore {
  const realStoreDir = `${dir}/real`;
  mkdirSync(realStoreDir, { recursive: true });
  return openLocalStore({
    ...directories,
    storeDir: defaultStoreDir,
    realStoreDir,
    settings: settingsOf([["build-users-group", ""]]),
    reporter: silentReporter,
    access: "read-write",
  });
}

/** What must be the same: wording, times and what is said on the way need not. */
function essence(exchanges: readonly Exchange[]): unknown[] {
  return exchanges.map(({ operation, request, data, outcome }) => ({
    operation,
    request,
    data,
    outcome: "error" in outcome ? "error" : JSON.parse(JSON.stringify(outcome.reply ?? null, withoutTimes)),
  }));
}

function withoutTimes(key: string, value: unknown): unknown {
  return key === "registrationTimeSec" ? 0 : value;
}

describe("recorded conversations", () => {
  assert(recordings.length >= 20, "the fixtures are missing");

  for (const { name, client, server, minor } of recordings) {
    test(`${name} is understood`, () => {
      const exchanges = decodeConversation(Buffer.from(client, "base64"), Buffer.from(server, "base64"));
      assert(exchanges.length > 0);
      assert.equal(exchanges[0]!.operation, "setOptions");
      assert(minor >= 10);
    });
  }

  test("go the same way with silo's daemon", () =>
    withStoreFixture(async (fixture) => {
      for (const { name, client, server } of recordings) {
        const said = Buffer.from(client, "base64");
        const store = openRecordedStore(fixture);
        try {
          const { output } = await serveBytes(fixture, said, {
            store,
            services: (opened) => daemonServices(opened, {}, "hidden"),
          });
          const expected = essence(decodeConversation(said, Buffer.from(server, "base64")));
          assert.deepEqual(essence(decodeConversation(said, output)), expected, name);
        } finally {
          store.close();
        }
      }
    }));
});
