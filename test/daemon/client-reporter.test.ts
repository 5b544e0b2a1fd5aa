import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClientReporter, clientReporter } from "../../src/daemon/server/client-reporter.ts";
import { ClientGone, type ClientChannel } from "../../src/daemon/server/client-channel.ts";
import type { Message } from "../../src/formats/worker-protocol/messages.ts";

/** What a reporter sends to a client of this version. */
function told(minor: number, tell: (reporter: ClientReporter) => void): Message[] {
  const messages: Message[] = [];
  const channel: ClientChannel = {
    message: (message) => void messages.push(message),
    beginWork() {},
    endWork() {},
    fail() {},
    send() {},
    onGone: undefined,
  };
  tell(clientReporter(channel, minor, () => {}));
  return messages;
}

function build(reporter: ClientReporter): void {
  const builds = reporter.start({ kind: "builds", level: "debug", text: "" });
  const activity = reporter.start({
    kind: "build",
    level: "info",
    text: "building 'x'",
    fields: ["x", "", 1, 1],
    parent: builds,
  });
  activity.result({ kind: "build-log-line", line: "line \u00e9" });
  activity.result({ kind: "progress", done: 1, expected: 2, running: 0, failed: 0 });
  activity.stop();
}

test("clients since 1.20 get activities, older ones their text and the builder's lines", () => {
  const kinds = told(34, build).map(({ kind }) => kind);
  assert.deepEqual(kinds, ["start-activity", "start-activity", "result", "result", "stop-activity"]);
  const [builds, start, line] = told(34, build);
  assert(builds?.kind === "start-activity" && start?.kind === "start-activity" && line?.kind === "result");
  assert.deepEqual([start.parent, start.type, start.fields], [builds.id, 105, ["x", "", 1, 1]]);
  assert.equal(builds.id >> 32n, BigInt(process.pid));
  assert.deepEqual([line.type, line.fields], [101, ["line \xc3\xa9"]]);
  assert.deepEqual(told(14, build), [
    { kind: "next", text: "building 'x'...\n" },
    { kind: "next", text: "line \xc3\xa9\n" },
  ]);
});

test("lines come as messages where the client wants them so, or not at all", () => {
  const lines = (minor: number, builderOutput: ClientReporter["builderOutput"]) =>
    told(minor, (reporter) => {
      reporter.builderOutput = builderOutput;
      build(reporter);
    }).filter((message) => message.kind === "next" && message.text.startsWith("line")).length;
  assert.deepEqual([lines(34, "lines"), lines(34, "results"), lines(14, "none")], [1, 0, 0]);
});

test("messages are sent down to the level that was asked for", () => {
  const messages = told(34, (reporter) => {
    reporter.verbosity = 2;
    for (const level of ["error", "warning", "notice", "info", "debug"] as const) reporter.message(level, level);
  });
  assert.deepEqual(
    messages.map((message) => message.kind === "next" && message.text),
    ["error\n", "warning\n", "notice\n"],
  );
});

test("work that nobody waits for any more ends at its next word", () => {
  const channel = { message() {} } as Partial<ClientChannel> as ClientChannel;
  const reporter = clientReporter(channel, 34, () => {
    throw new ClientGone();
  });
  assert.throws(() => reporter.message("vomit", "unheard"), ClientGone);
});
