/** `silo doctor`: what is and is not possible on this machine, and how to change it. */
import { UsageError } from "../../error.ts";
import { fromText } from "../../formats/byte-string.ts";
import { commandApplet } from "../command-line.ts";
import { openSession } from "../session.ts";
import { type Finding, machineFindings } from "./doctor/machine-findings.ts";
import { storeFindings } from "./doctor/store-findings.ts";

const marks: Readonly<Record<Finding["verdict"], string>> = { good: "ok  ", limited: "note", bad: "FAIL" };

export const doctor = commandApplet(
  {
    name: "silo doctor",
    family: "silo",
    summary: "Tell what is and is not possible on this machine, and how to change it",
    usage: ["[--json]"],
    examples: [{ does: "Why are my builds not sandboxed?", command: "silo doctor" }],
    options: { json: { help: "Print a list of objects with `verdict`, `what`, `detail` and `remedy`" } },
  },
  async (line, io) => {
    if (line.operands.length > 0) throw new UsageError("'silo doctor' takes no operands");
    const session = openSession(line, io);
    const findings = [...(await storeFindings(session)), ...machineFindings(session.settings)];
    if (line.has("json")) io.out(fromText(`${JSON.stringify(findings, null, 2)}\n`));
    else {
      for (const { verdict, what, detail, remedy } of findings) {
        io.out(fromText(`[${marks[verdict]}] ${what}: ${detail}\n`));
        if (remedy !== undefined) io.out(fromText(`         ${remedy}\n`));
      }
    }
    return findings.some(({ verdict }) => verdict === "bad") ? 1 : 0;
  },
);
