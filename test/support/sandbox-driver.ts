/** A process to be killed: runs one builder, as standard input describes it, and copies its log to standard output. */
import { readFileSync } from "node:fs";
import { type Case, testStore } from "./sandboxed-builder.ts";

const { case: what } = JSON.parse(readFileSync(0, "utf8")) as { readonly case: Case };
const store = testStore();
const { exit, warnings } = await store.start(what, (text) => process.stdout.write(text)).outcome;
store.remove();
process.stdout.write(`${JSON.stringify({ exit, warnings })}\n`);
