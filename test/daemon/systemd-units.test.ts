import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { systemdUnits } from "../../src/applets/silo/install/systemd-units.ts";

test("the units in scripts are those that 'silo install' writes", () => {
  const folder = join(import.meta.dirname, "../../scripts/systemd");
  const files = Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]));
  assert.deepEqual(files, systemdUnits("/usr/local/bin"));
});
