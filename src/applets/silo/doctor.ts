/** `silo doctor`: what is and is not possible on this machine, and how to change it. */
import { SiloError, UsageError } from "../../error.ts";
import { fromText } from "../../formats/byte-string.ts";
import { commandApplet } from "../command-line.ts";
import { storeLocation } from "../open-store.ts";
import { openSession, type Session } from "../session.ts";
import { type Finding, machineFindings, type StorePlaces } from "./doctor/machine-findings.ts";
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
    const findings = [
      ...(await storeFindings(session)),
      ...(await machineFindings(session.settings, placesOf(session))),
    ];
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

/** Where builds find the store: the daemon's own business, when there is one. */
function placesOf(session: Session): StorePlaces {
  const { storeDir } = session.directories;
  try {
    const location = storeLocation(session);
    return location.kind === "local" ? location.directories : { storeDir, realStoreDir: storeDir };
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    return { storeDir, realStoreDir: storeDir }; // told of as what the store is
  }
}
