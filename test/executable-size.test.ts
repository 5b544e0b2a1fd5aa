/** What silo adds to the runtime that it is compiled with. */
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { test } from "node:test";
import { siloProgram } from "./support/silo-binary.ts";

test("the executable adds less than 5 MB to Bun's own size", () => {
  const added = statSync(siloProgram("silo")).size - statSync(process.execPath).size;
  assert.ok(added > 0 && added < 5_000_000, `${added} bytes`);
});
