/**
 * What goes on, as the activities tell it: what is built and fetched now, and how much is done, failed and to come. Knows no
 * terminal and no clock; times are milliseconds from any start, as the caller gives them.
 */
import { toText } from "../../formats/byte-string.ts";
import type { ActivityKind, ActivityResult, ActivityStart } from "../../store/reporter.ts";
import { speedometer } from "./speedometer.ts";
import { visibleText } from "./visible-text.ts";

/** Something at work, which may have a line of its own. */
export interface WorkItem {
  readonly kind: ActivityKind;
  readonly startMs: number;
  readonly parent: WorkItem | undefined;
  /** Of the derivation, path or file. */
  readonly name: string;
  /** The machine that builds, the store that has the path; empty when it is here. */
  readonly place: string;
  /** What it is in the middle of, in a word. */
  phase: string;
  lastLine: string;
  /** Bytes, or for kinds that count things, things. */
  done: number;
  expected: number;
  failed: number;
  running: number;
  bytesFreed: number;
  /** Running parts of it. */
  parts: number;
}

export interface Tally {
  readonly done: number;
  /** Those done included. */
  readonly expected: number;
  readonly running: number;
  readonly failed: number;
}

export interface ProgressModel {
  /** In the order in which they started. */
  readonly items: ReadonlySet<WorkItem>;
  start(start: ActivityStart, parent: WorkItem | undefined, nowMs: number): WorkItem;
  result(item: WorkItem, result: ActivityResult, nowMs: number): void;
  stop(item: WorkItem): void;
  tally(kind: "builds" | "copy-paths"): Tally;
  /** Builds that were begun on this machine or another, whatever has become of them. */
  buildsBegun(): number;
  /** Bytes: downloaded where that is known, else unpacked. */
  received(): { readonly done: number; readonly expected: number };
  bytesPerSecond(nowMs: number): number;
  /** Begins to count from nothing, for the next run. */
  forget(): void;
}

type Totals = { done: number; expected: number; failed: number };

const countingKinds: readonly ActivityKind[] = ["builds", "copy-paths", "file-transfer", "copy-path"];

export function progressModel(): ProgressModel {
  const items = new Set<WorkItem>();
  const speed = speedometer();
  /** Of items that are over. */
  let past = new Map<ActivityKind, Totals>();
  let announced = new Map<ActivityKind, number>();
  let begun = 0;

  function sum(kind: ActivityKind): Totals & { running: number } {
    const total = { done: 0, expected: 0, failed: 0, running: 0, ...past.get(kind) };
    for (const item of items) {
      if (item.kind !== kind) continue;
      total.done += item.done;
      total.expected += Math.max(item.expected, item.done);
      total.failed += item.failed;
      total.running += item.running;
    }
    return total;
  }

  function received(): { done: number; expected: number } {
    for (const kind of ["file-transfer", "copy-path"] as const) {
      const { done, expected } = sum(kind);
      if (done > 0) return { done, expected: Math.max(expected, announced.get(kind) ?? 0) };
    }
    return { done: 0, expected: 0 };
  }

  return {
    items,
    start(start, parent, nowMs) {
      const item: WorkItem = {
        kind: start.kind,
        startMs: nowMs,
        parent,
        name: subjectName(start),
        place: placeOf(start),
        phase: phases[start.kind] ?? "",
        lastLine: "",
        done: 0,
        expected: 0,
        failed: 0,
        running: 0,
        bytesFreed: 0,
        parts: 0,
      };
      if (parent !== undefined) parent.parts++;
      items.add(item);
      if (item.kind === "build") begun++;
      return item;
    },
    result(item, result, nowMs) {
      switch (result.kind) {
        case "progress":
          item.done = result.done;
          item.expected = result.expected;
          item.failed = result.failed;
          item.running = result.running;
          if (item.kind === "file-transfer" || item.kind === "copy-path") speed.add(nowMs, () => received().done);
          break;
        case "set-expected":
          announced.set(result.of, result.expected);
          break;
        case "set-phase":
          item.phase = visibleText(toText(result.phase));
          break;
        case "build-log-line":
        case "post-build-log-line":
          // Shown at most some times a second, and made fit for it then.
          item.lastLine = /[^\s]/.test(result.line) ? result.line : item.lastLine;
          break;
        case "file-linked":
          item.bytesFreed += result.bytesFreed;
          break;
        default:
      }
    },
    stop(item) {
      if (!items.delete(item)) return;
      if (item.parent !== undefined) item.parent.parts--;
      if (!countingKinds.includes(item.kind)) return;
      const before = past.get(item.kind) ?? { done: 0, expected: 0, failed: 0 };
      past.set(item.kind, {
        done: before.done + item.done,
        expected: before.expected + item.done, // what has not come by now will not
        failed: before.failed + item.failed,
      });
    },
    tally: sum,
    buildsBegun: () => begun,
    received,
    bytesPerSecond: (nowMs) => speed.read(nowMs),
    forget() {
      past = new Map();
      announced = new Map();
      begun = 0;
      speed.reset();
    },
  };
}

const phases: Readonly<Partial<Record<ActivityKind, string>>> = {
  "copy-path": "copying",
  substitute: "fetching",
  "file-transfer": "downloading",
  "post-build-hook": "post-build hook",
  "build-waiting": "waiting",
};

/** What an activity is about, for people: `hello-2.12` of a derivation or a path. */
export function subjectName({ kind, text, fields = [] }: ActivityStart): string {
  const subject = String(fields[0] ?? "");
  if (kind === "build-waiting" || subject === "") return withoutHashes(visibleText(toText(text)));
  const path = visibleText(toText(subject));
  if (kind === "file-transfer") return path.replace(/[?#].*$/, "").replace(/^.*\/(?=.)/, "");
  return withoutHashes(path).replace(/\.drv$/, "");
}

/** Store paths in a text by their names. */
function withoutHashes(text: string): string {
  return text.replace(/(?:\/[^\s'"]*)?\/[0-9a-z]{32}-/g, "");
}

function placeOf({ kind, fields = [] }: ActivityStart): string {
  const hasPlace = kind === "build" || kind === "copy-path" || kind === "substitute";
  return hasPlace ? visibleText(toText(String(fields[1] ?? ""))) : "";
}
