/** Which store commands work on, and whether they can. */
import { SiloError } from "../../../error.ts";
import { toText } from "../../../formats/byte-string.ts";
import { unknownSettingWarnings } from "../../../formats/settings/unknown-settings.ts";
import { statFileSystem } from "../../../sys/mount.ts";
import { storeLocation, withStore } from "../../open-store.ts";
import type { Session } from "../../session.ts";
import { showBytes } from "../show-bytes.ts";
import type { Finding } from "./machine-findings.ts";

const scarce = 1024 ** 3;

export async function storeFindings(session: Session): Promise<Finding[]> {
  return [configuration(session), ...(await store(session))];
}

function configuration({ settings }: Session): Finding {
  const what = "configuration";
  const unknown = unknownSettingWarnings(settings);
  if (unknown.length === 0)
    return { verdict: "good", what, detail: `${settings.assigned.size} settings set, all of them known` };
  return {
    verdict: "limited",
    what,
    detail: unknown.join("; "),
    remedy: "'silo config check' tells where each is set",
  };
}

async function store(session: Session): Promise<Finding[]> {
  const what = "store";
  try {
    const location = storeLocation(session);
    return await withStore(session, (open): Finding[] => {
      const { local } = open;
      if (local === undefined) {
        return [
          {
            verdict: "good",
            what,
            detail: `${open.storeDir}, through ${location.kind === "daemon" ? `the daemon at ${toText(location.socket)}` : "another machine"}`,
          },
        ];
      }
      const elsewhere = local.realStoreDir === open.storeDir ? "" : ` (its files are in ${local.realStoreDir})`;
      if (local.access === "read-only") {
        return [
          {
            verdict: "limited",
            what,
            detail: `${open.storeDir}${elsewhere} can be read and not written: it belongs to another user`,
            remedy: "have root run 'silo daemon', or choose a store of your own with NIX_REMOTE=DIRECTORY",
          },
        ];
      }
      return [
        { verdict: "good", what, detail: `${open.storeDir}${elsewhere} can be read and written` },
        space(local.realStoreDir),
      ];
    });
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    return [{ verdict: "bad", what, detail: error.message, remedy: "NIX_REMOTE or --store choose another store" }];
  }
}

function space(directory: string): Finding {
  const { available } = statFileSystem(directory);
  const what = "disk";
  const detail = `${showBytes(available)} free`;
  return available >= scarce
    ? { verdict: "good", what, detail }
    : { verdict: "limited", what, detail, remedy: "'silo gc' deletes what nothing needs" };
}
