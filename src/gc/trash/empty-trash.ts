/**
 * Emptying the trash, without any lock. This process takes one entry after another from a queue; when that takes
 * a while helper processes do, too, so that every CPU is used: unlinking is the kernel's work, and most of it runs in parallel.
 */
import { spawn } from "node:child_process";
import { decodeBytes } from "../../formats/byte-string.ts";
import { close, pipe, read } from "../../sys/descriptor.ts";
import { readDirectory } from "../../sys/directory.ts";
import { ownCommand } from "../../sys/own-program.ts";
import { poll } from "../../sys/poll.ts";
import { newSweep, type Sweep, sweepTree } from "../../sys/sweep-tree.ts";
import type { SystemError } from "../../sys/system-error.ts";
import type { Activity, Reporter } from "../../store/reporter.ts";
import { type LocalStore, showPath } from "../../store/local-store.ts";
import type { Trash } from "./trash.ts";
import { trashHelperCommand, type TrashHelperReport, trashHelperReader } from "./trash-helper.ts";
import { makeQueue, takeFromQueue } from "./trash-queue.ts";

/** What starting another process must be worth. */
const helpAfterMs = 30;
const helpForEntries = 64;
const maxHelpers = 3;
const progressIntervalMs = 100;

/** Deletes all entries, and adds what was freed to the sweep; what does not go is told to it. */
export function emptyTrash(store: LocalStore, trash: Trash, sweep: Sweep): void {
  const { entries, fd, path } = trash;
  if (entries.length === 0) return;
  const startMs = performance.now();
  const queue = makeQueue(entries);
  const helpers: Helper[] = [];
  const activity = startProgress(store.reporter, entries.length);
  let done = 0;
  const tell = (error: SystemError) => {
    sweep.faults++;
    sweep.onFault(error);
  };
  const mine = newSweep(tell, () => {
    const nowMs = performance.now();
    if (nowMs - lastMs < progressIntervalMs) return;
    lastMs = nowMs;
    listen(helpers, 0);
    activity.show(total());
  });
  let lastMs = startMs;
  const total = (): TrashHelperReport => {
    const works = helpers.map(({ work }) => work);
    const sum = (of: keyof TrashHelperReport) => works.reduce((all, work) => all + work[of], 0);
    return {
      entries: done + sum("entries"),
      bytes: mine.bytes + sum("bytes"),
      files: mine.files + sum("files"),
      sharedFiles: mine.sharedFiles + sum("sharedFiles"),
    };
  };
  try {
    for (let name = takeFromQueue(queue); name !== undefined; name = takeFromQueue(queue)) {
      sweepTree(fd, name, `${path}/${name}`, mine);
      done++;
      mine.onProgress();
      if (helpers.length === 0 && entries.length - done > helpForEntries && performance.now() - startMs > helpAfterMs) {
        for (let cpu = 1; cpu < Math.min(navigator.hardwareConcurrency, maxHelpers + 1); cpu++) {
          helpers.push(startHelper(store, trash, queue, tell));
        }
      }
    }
    while (helpers.some(({ fd }) => fd >= 0)) {
      listen(helpers, progressIntervalMs);
      activity.show(total());
    }
    if (helpers.some(({ reader }) => !reader.ended)) {
      // A helper was killed, and with it the entry that it had taken is still there.
      for (const { name } of readDirectory(path)) sweepTree(fd, name, `${path}/${name}`, mine);
    }
  } finally {
    for (const { fd } of helpers) if (fd >= 0) close(fd);
    close(queue);
    activity.stop();
  }
  const { bytes, files, sharedFiles } = total();
  sweep.bytes += bytes;
  sweep.files += files;
  sweep.sharedFiles += sharedFiles;
}

interface Helper {
  /** Where it reports, or -1 when it has ended. */
  fd: number;
  work: TrashHelperReport;
  readonly reader: ReturnType<typeof trashHelperReader>;
}

function startHelper(
  store: LocalStore,
  { name, path }: Trash,
  queue: number,
  onFault: (error: SystemError) => void,
): Helper {
  const ends = pipe();
  const helper: Helper = {
    fd: ends.read,
    work: { entries: 0, bytes: 0, files: 0, sharedFiles: 0 },
    reader: trashHelperReader((report) => {
      const { entries, bytes, files, sharedFiles } = helper.work;
      helper.work = {
        entries: entries + report.entries,
        bytes: bytes + report.bytes,
        files: files + report.files,
        sharedFiles: sharedFiles + report.sharedFiles,
      };
    }, onFault),
  };
  const [program, ...args] = ownCommand();
  const child = spawn(program!, [...args, trashHelperCommand, store.stateDir, showPath(store, name), path], {
    argv0: "silo",
    stdio: [queue, ends.write, "inherit"],
  });
  child.on("error", () => {}); // then nobody reports, and the work is ours
  child.unref();
  close(ends.write);
  return helper;
}

const buffer = Buffer.alloc(65536);

function listen(helpers: readonly Helper[], timeoutMs: number): void {
  const running = helpers.filter(({ fd }) => fd >= 0);
  if (running.length === 0) return;
  const found = poll(
    running.map(({ fd }) => ({ fd, wait: "readable" })),
    timeoutMs,
  );
  running.forEach((helper, i) => {
    if (!found[i]!.readable) return;
    const count = read(helper.fd, buffer);
    if (count > 0) helper.reader.feed(decodeBytes(buffer.subarray(0, count)));
    else {
      close(helper.fd);
      helper.fd = -1;
    }
  });
}

function startProgress(
  reporter: Reporter,
  expected: number,
): { show(progress: TrashHelperReport): void; stop(): void } {
  const startMs = performance.now();
  const activity: Activity = reporter.start({ kind: "unknown", level: "talkative", text: "emptying the trash" });
  return {
    show({ entries, bytes }) {
      activity.result({ kind: "progress", done: entries, expected, running: 0, failed: 0 });
      const leftSec = (((performance.now() - startMs) / 1000) * (expected - entries)) / Math.max(1, entries);
      const freed = `${(bytes / 2 ** 20).toFixed(1)} MiB freed`;
      activity.result({ kind: "set-phase", phase: entries === 0 ? freed : `${freed}, ${Math.ceil(leftSec)} s left` });
    },
    stop: () => activity.stop(),
  };
}
