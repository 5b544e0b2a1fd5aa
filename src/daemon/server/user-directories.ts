/** What every user of the daemon has in the state directory: a place for profiles and one for roots, both the user's own. */
import { chmod, lchown } from "../../sys/metadata.ts";
import { mkdirs, tryMkdir } from "../../sys/names.ts";
import { lstat } from "../../sys/stat.ts";

/** @throws SystemError */
export function ensureUserDirectories(stateDir: string, user: string, uid: number): void {
  for (const kind of ["profiles", "gcroots"]) {
    const parent = `${stateDir}/${kind}/per-user`;
    mkdirs(parent);
    const directory = `${parent}/${user}`;
    tryMkdir(directory, 0o755);
    const status = lstat(directory);
    // Only what is a directory: nobody else than root may write here, but root may have put a link.
    if (status.kind !== "directory") continue;
    if (status.mode !== 0o755) chmod(directory, 0o755);
    if (status.uid !== uid && process.geteuid?.() === 0) lchown(directory, uid, process.getegid?.() ?? 0);
  }
}
