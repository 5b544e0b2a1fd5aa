/** Queries of nix-store that make paths valid on the way, as in stock Nix. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { makeDerivation, skipWithoutBusybox, withPeers } from "../support/peer-stores.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const expression = `let ${makeDerivation} in rec {
  below = mk "below" "echo good > $out" { };
  above = mk "above" "echo \${below} > $out" { };
}`;

describe("queries", { skip: skipWithoutNix || skipWithoutBusybox }, () => {
  test("--force-realise builds the operands first", () => {
    for (const query of [["--outputs"], ["--references", "--use-output"], ["--references"]]) {
      const [nix, silo] = withPeers((store, maker) => {
        const [drvPath] = store.instantiate(expression, "above");
        const { status, stdout } = store.run(maker, ["-q", "--force-realise", ...query, drvPath!]);
        return { status, stdout, rows: store.rows() };
      });
      assert.equal(nix.status, 0);
      assert.deepEqual(silo, nix, query.join(" "));
    }
  });

  test("--force-realise tells which build failed, with the status of a failed build", () => {
    const [nix, silo] = withPeers((store, maker) => {
      const [drvPath] = store.instantiate(`let ${makeDerivation} in { bad = mk "bad" "exit 3" { }; }`, "bad");
      const { status, stdout, stderr } = store.run(maker, ["-qf", drvPath!]);
      assert.match(stderr, /^error: builder for '[^']*' failed with exit code 3/m);
      return { status, stdout };
    });
    assert.deepEqual(silo, nix);
    assert.equal(silo.status, 100);
  });

  test("of a path that is not valid there are no roots", () => {
    const [nix, silo] = withPeers((store, maker) => {
      const { status, stdout, stderr } = store.run(maker, [
        "-q",
        "--roots",
        join(store.env["NIX_STORE_DIR"]!, `${"0".repeat(32)}-x`),
      ]);
      return { status, stdout, stderr };
    });
    assert.deepEqual(silo, nix);
  });
});
