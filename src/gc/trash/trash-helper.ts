/**
 * A process that helps another one to empty its trash. It keeps the trash by a temporary root of its own, so that no
 * other collector interferes should the other process be killed; and it ends soon after that, when nobody reads its
 * reports any more.
 *
 * Reports are lines: `p <entries> <bytes> <files> <shared files>` what has been done since the last, `f <errno> <JSON string>` a file that
 * stays, `e` the end.
 */
import { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, open, writeAll } from "../../sys/descriptor.ts";
import { newSweep, sweepTree } from "../../sys/sweep-tree.ts";
import { SystemError } from "../../sys/system-error.ts";
import { tempRoots } from "../../store/temp-roots.ts";
import { takeFromQueue } from "./trash-queue.ts";

/** The hidden command that runs {@link runTrashHelper}. */
export const trashHelperCommand = "__empty-trash";

export interface TrashHelperReport {
  readonly entries: number;
  readonly bytes: number;
  readonly files: number;
  readonly sharedFiles: number;
}

const reportIntervalMs = 100;

/**
 * Takes the queue from standard input and reports to standard output.
 * @param trashRoot the trash's path as temporary roots have it @param trashPath where it is
 */
export function runTrashHelper(stateDir: string, trashRoot: string, trashPath: string): void {
  const roots = tempRoots(stateDir);
  try {
    roots.add([trashRoot]);
    const fd = open(trashPath, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    let entries = 0;
    let lastMs = performance.now();
    const report = (line: string) => writeAll(1, Buffer.from(`${line}\n`, "latin1"));
    const sweep = newSweep(
      ({ errno, action }) => report(`f ${errno} ${JSON.stringify(action)}`),
      () => {
        if (performance.now() - lastMs >= reportIntervalMs) reportProgress();
      },
    );
    const reportProgress = () => {
      report(`p ${entries} ${sweep.bytes} ${sweep.files} ${sweep.sharedFiles}`);
      entries = sweep.bytes = sweep.files = sweep.sharedFiles = 0;
      lastMs = performance.now();
    };
    for (let name = takeFromQueue(0); name !== undefined; name = takeFromQueue(0)) {
      sweepTree(fd, name, `${trashPath}/${name}`, sweep);
      entries++;
      sweep.onProgress();
    }
    reportProgress();
    report("e");
  } finally {
    roots.close();
  }
}

/** Understands the lines of a helper, in pieces of any length. */
export function trashHelperReader(
  onReport: (report: TrashHelperReport) => void,
  onFault: (error: SystemError) => void,
): { feed(text: string): void; readonly ended: boolean } {
  let pending = "";
  let ended = false;
  return {
    feed(text) {
      const lines = (pending + text).split("\n");
      pending = lines.pop()!;
      for (const line of lines) {
        const [kind, first, ...rest] = line.split(" ");
        if (kind === "e") ended = true;
        else if (kind === "f") onFault(new SystemError(String(JSON.parse(rest.join(" "))), Number(first)));
        else if (kind === "p") {
          const [bytes = 0, files = 0, sharedFiles = 0] = rest.map(Number);
          onReport({ entries: Number(first), bytes, files, sharedFiles });
        }
      }
    },
    get ended() {
      return ended;
    },
  };
}
