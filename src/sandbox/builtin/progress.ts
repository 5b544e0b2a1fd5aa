/** What a built-in builder says of a download: lines of `--log-format internal-json`, which the scheduler understands. */
import { writeAll } from "../../sys/descriptor.ts";

const fileTransferActivity = 101;
const progressResult = 105;
const warningLevel = 1;
const talkativeLevel = 4;

export interface DownloadProgress {
  /** `expected` is 0 when nobody knows. Bytes. */
  progress(done: number, expected: number): void;
  stop(): void;
}

let lastId = 0;
const minIntervalMs = 100;

export function startDownload(url: string): DownloadProgress {
  const id = ++lastId;
  let last = 0;
  const text = `downloading '${url}'`;
  say({ action: "start", id, level: talkativeLevel, text, type: fileTransferActivity, fields: [url] });
  return {
    progress(done, expected) {
      const now = performance.now();
      if (now - last < minIntervalMs && done !== expected) return;
      last = now;
      say({ action: "result", id, type: progressResult, fields: [done, expected, 0, 0] });
    },
    stop: () => say({ action: "stop", id }),
  };
}

export function sayWarning(text: string): void {
  say({ action: "msg", level: warningLevel, msg: `warning: ${text}` });
}

function say(message: Readonly<Record<string, unknown>>): void {
  writeAll(2, Buffer.from(`@nix ${JSON.stringify(message)}\n`));
}
