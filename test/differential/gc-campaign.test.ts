/**
 * Adders, builders and importers in loops against collectors in loops, silo and stock Nix mixed, on one store: nothing that has a
 * root or is in use disappears, nobody fails, and the store verifies at the end.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gcAdder } from "../support/gc-adder.ts";
import { siloProgram } from "../support/silo-binary.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";
import { driverCommand, type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";

const durationMs = process.env["SILO_LONG"] === "1" ? 180_000 : 15_000;

interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(fixture: StoreFixture, argv: readonly string[], input = ""): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0]!, argv.slice(1), { env: fixture.env });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (data) => (stdout += data));
    child.stderr.on("data", (data) => (stderr += data));
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, stdout, stderr }));
    child.stdin.on("error", () => {}); // the program may end without reading
    child.stdin.end(input);
  });
}

test("concurrent adders, builders, importers and collectors", { skip: skipWithoutNix }, async () => {
  const silo = siloProgram("nix-store");
  await withStoreFixture(async (fixture) => {
    writeFileSync(join(fixture.dir, "conf", "nix.conf"), "build-users-group =\nsandbox = false\n");
    fixture.open().close();
    const roots = join(fixture.directories.stateDir, "gcroots", "campaign");
    mkdirSync(roots);
    const exported = exportedClosure(fixture);
    const counts = new Map<string, number>();
    const kept = new Set<string>();
    const endMs = performance.now() + durationMs;

    let failed = false;

    /** The others are waited for when one has failed: they still use the store. */
    async function loop(name: string, body: (round: number) => Promise<void>): Promise<void> {
      try {
        for (let round = 0; !failed && performance.now() < endMs; round++) {
          await body(round);
          counts.set(name, round + 1);
        }
      } catch (error) {
        failed = true;
        throw error;
      }
    }

    async function succeed(argv: readonly string[], input?: string): Promise<string> {
      const { status, stdout, stderr } = await run(fixture, argv, input);
      assert.equal(status, 0, `${argv.join(" ")}: ${stderr}`);
      return stdout.trim();
    }

    /** Roots of earlier rounds stay for a while, and must hold; then they go. */
    function requireKept(): void {
      for (const path of kept) assert(existsSync(path), `${path} has a root and is gone`);
    }

    const derivations = Array.from({ length: 12 }, (_, i) => join(fixture.dir, `build-${i}.drv`));
    for (const [i, derivation] of derivations.entries()) {
      const expression = join(fixture.dir, `build-${i}.nix`);
      writeFileSync(expression, buildExpression(i));
      await succeed(["nix-instantiate", "--quiet", expression, "--indirect", "--add-root", derivation]);
    }
    const [runtime, ...driver] = driverCommand([]);
    const adder = [runtime!, ...driver.slice(0, -1), gcAdder];
    const ended = await Promise.allSettled([
      ...["a", "b"].map((which) =>
        loop(`silo adder ${which}`, async (round) => {
          const path = await succeed([...adder, roots, `${which}${round}`, "12"]);
          kept.add(path);
          requireKept();
          if (round % 3 !== 2) return;
          kept.delete(path);
          rmSync(join(roots, `adder-${which}${round}`));
        }),
      ),
      ...(["silo", "stock"] as const).map((who) =>
        loop(`${who} builder`, async (round) => {
          const derivation = derivations[round % derivations.length]!;
          const link = join(fixture.dir, `result-${who}-${round}`);
          const program = who === "silo" ? silo : "nix-store";
          await succeed([program, "--realise", "--quiet", derivation, "--indirect", "--add-root", link]);
          const path = readlinkSync(link);
          if (who === "stock") {
            // Stock Nix makes a root and ends; its own collector may have looked for roots before the one, and for processes after the other.
            await succeed(["flock", "--shared", join(fixture.directories.stateDir, "gc.lock"), "true"]);
            if (!existsSync(path)) return rmSync(link);
          }
          assert(existsSync(path), `${path} was built and is gone`);
          kept.add(path);
          requireKept();
          if (round % 2 === 0) return;
          kept.delete(path);
          rmSync(link);
        }),
      ),
      loop("stock adder", async (round) => {
        const file = join(fixture.dir, `file-${round % 5}`);
        writeFileSync(file, `stock ${round % 5}`);
        await succeed(["nix-store", "--add", file]);
      }),
      ...(["silo", "nix"] as const).map((who) =>
        loop(`${who} importer`, async () => {
          await succeed(["sh", "-c", '"$0" --import < "$1"', who === "silo" ? silo : "nix-store", exported]);
        }),
      ),
      loop("silo collector", async () => void (await succeed([silo, "--gc"]))),
      loop("stock collector", async () => void (await succeed(["nix-store", "--gc"]))),
    ]);
    for (const end of ended) if (end.status === "rejected") throw end.reason;

    requireKept();
    await succeed(["nix-store", "--verify", "--check-contents"]);
    await succeed([silo, "--verify", "--check-contents"]);
    for (const path of kept) await succeed(["nix-store", "--check-validity", path]);
    for (const [name, count] of counts) assert(count > 0, name);
    console.log([...counts].map(([name, count]) => `${name}: ${count}`).join(", "));
  });
});

/** Two derivations, the second built from the first. There are few, so that rounds build what was collected before. */
function buildExpression(number: number): string {
  return `
    let build = name: input: derivation {
      inherit name input;
      system = builtins.currentSystem;
      builder = "/bin/sh";
      args = [ "-c" "echo $input > $out" ];
    };
    in build "second" (build "first" "${number}")
  `;
}

/** The file with the export of a small closure. */
function exportedClosure(fixture: StoreFixture): string {
  const other = join(fixture.dir, "elsewhere");
  const env = { ...fixture.env, NIX_STATE_DIR: join(other, "state") };
  const source = join(fixture.dir, "imported");
  mkdirSync(join(source, "d"), { recursive: true });
  for (let i = 0; i < 30; i++) writeFileSync(join(source, "d", `f${i}`), `imported ${i}`);
  const file = join(fixture.dir, "exported");
  const script = 'nix-store --export $(nix-store --add "$1") > "$2"';
  const { status, stderr } = spawnSync("sh", ["-c", script, "sh", source, file], { env });
  assert.equal(status, 0, String(stderr));
  return file;
}
