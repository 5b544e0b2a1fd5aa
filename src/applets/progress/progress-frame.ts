/**
 * The live view as lines: one for everything that is built or fetched now, oldest first, and below them the counts.
 *
 *       12s  hello-2.12  buildPhase   gcc -c hello.c
 *        3s  zlib-1.3    fetching     1.2 MiB of 4.0 MiB from https://cache.example.org
 *     [3/20 built, 1 running, 16 waiting, 1/2 fetched 12.3 MiB at 3.1 MiB/s] 41s
 */
import { toText } from "../../formats/byte-string.ts";
import { showBytes } from "../silo/show-bytes.ts";
import { cellWidth, cutToCells } from "./cell-width.ts";
import type { LiveLine, TerminalSize } from "./live-area.ts";
import type { ProgressModel, WorkItem } from "./progress-model.ts";
import { showElapsed } from "./show-elapsed.ts";
import { visibleText } from "./visible-text.ts";

export interface FrameStyle {
  readonly colours: "on" | "off";
  /** What stands where a text was cut. */
  readonly cut: string;
}

/** More than this is not read. */
const maxItems = 10;
/** Downloads that are over sooner are only counted, not shown: there are many, such as those of `.narinfo` files. */
const transferDelayMs = 500;
const maxPhaseCells = 16;

type Style = "bold" | "dim" | "good" | "bad" | "phase";
const styleCodes: Readonly<Record<Style, string>> = { bold: "1", dim: "2", good: "32", bad: "31", phase: "36" };

/** As many lines as leave one free for the cursor, each shorter than the terminal is wide. */
export function progressFrame(
  model: ProgressModel,
  size: TerminalSize,
  nowMs: number,
  sinceMs: number,
  style: FrameStyle,
): LiveLine[] {
  const width = size.columns - 1;
  const rows = size.rows - 1;
  if (rows < 1 || width < 1) return [];
  const counts = countsLine(model, width, nowMs, sinceMs, style);
  const room = Math.min(maxItems, rows - counts.length);
  const items = [...model.items].filter((item) => hasLine(item, nowMs));
  const shown = items.length <= room ? items : items.slice(0, Math.max(0, room - 1));
  const lines = itemLines(shown, width, nowMs, style);
  if (shown.length < items.length && room > 0) {
    lines.push(line([[`${" ".repeat(itemIndent)}and ${items.length - shown.length} more`, "dim"]], width, style));
  }
  return [...lines, ...counts];
}

function hasLine({ kind, parts, parent, startMs }: WorkItem, nowMs: number): boolean {
  switch (kind) {
    case "build":
    case "copy-path":
    case "post-build-hook":
    case "build-waiting":
      return true;
    case "substitute":
      return parts === 0;
    case "file-transfer":
      return parent === undefined && nowMs - startMs >= transferDelayMs;
    default:
      return false;
  }
}

const elapsedCells = 6;
const itemIndent = elapsedCells + 2;

function itemLines(items: readonly WorkItem[], width: number, nowMs: number, style: FrameStyle): LiveLine[] {
  const longest = (texts: readonly string[]) => texts.reduce((most, text) => Math.max(most, cellWidth(text)), 0);
  const named = items.filter(({ kind }) => kind !== "build-waiting");
  const nameCells = Math.min(longest(named.map(({ name }) => name)), Math.max(8, Math.floor(width * 0.35)));
  const phaseCells = width < 50 ? 0 : Math.min(longest(named.map(({ phase }) => phase)), maxPhaseCells);
  const column = (text: string, cells: number) => {
    const cut = cutToCells(text, cells, style.cut);
    return cut + " ".repeat(Math.max(0, cells - cellWidth(cut)));
  };
  return items.map((item) => {
    const parts: [string, Style | undefined][] = [
      [`${showElapsed(nowMs - item.startMs).padStart(elapsedCells)}  `, "dim"],
    ];
    if (item.kind === "build-waiting") parts.push([item.name, undefined]);
    else {
      parts.push([column(item.name, nameCells), "bold"], ["  ", undefined]);
      if (phaseCells > 0) parts.push([column(item.phase, phaseCells), "phase"], ["  ", undefined]);
      parts.push([detailOf(item), "dim"]);
    }
    return line(parts, width, style);
  });
}

function detailOf(item: WorkItem): string {
  if (item.kind === "build") {
    const detail = item.parts > 0 && item.lastLine === "" ? "downloading" : visibleText(toText(item.lastLine));
    return item.place === "" ? detail : `on ${item.place}${detail === "" ? "" : `: ${detail}`}`;
  }
  if (item.kind === "post-build-hook") return visibleText(toText(item.lastLine));
  const size = item.expected > 0 ? `${showBytes(item.done)} of ${showBytes(item.expected)}` : bytesOrNothing(item.done);
  return [size, item.place === "" ? "" : `from ${item.place}`].filter(Boolean).join(" ");
}

function bytesOrNothing(bytes: number): string {
  return bytes > 0 ? showBytes(bytes) : "";
}

/** One line, or none when there is nothing to count. */
function countsLine(
  model: ProgressModel,
  width: number,
  nowMs: number,
  sinceMs: number,
  style: FrameStyle,
): LiveLine[] {
  const counts = countsOf(model, nowMs);
  if (counts.length === 0) return [];
  const parts: [string, Style | undefined][] = [["[", undefined]];
  const elapsed = ` ${showElapsed(nowMs - sinceMs)}`;
  let room = width - 2;
  for (const [index, [text, kind]] of counts.entries()) {
    const separator = index === 0 ? "" : ", ";
    const cells = separator.length + text.length;
    // A count that does not fit is better not there than cut to another number.
    if (cells > room && index > 0) break;
    room -= cells;
    parts.push([separator, undefined], [text, kind]);
  }
  parts.push(["]", undefined]);
  if (room >= elapsed.length) parts.push([elapsed, "dim"]);
  return [line(parts, width, style)];
}

function countsOf(model: ProgressModel, nowMs: number): [string, Style | undefined][] {
  const counts: [string, Style | undefined][] = [];
  const builds = model.tally("builds");
  if (builds.expected > 0 || builds.failed > 0) {
    const all = Math.max(builds.expected, builds.done) + builds.failed;
    counts.push([`${builds.done}/${all} built`, "good"]);
    if (builds.failed > 0) counts.push([`${builds.failed} failed`, "bad"]);
    if (builds.running > 0) counts.push([`${builds.running} running`, undefined]);
    const waiting = all - builds.done - builds.failed - builds.running;
    if (waiting > 0) counts.push([`${waiting} waiting`, undefined]);
  }
  const copies = model.tally("copy-paths");
  const received = model.received();
  if (copies.expected > 0 || copies.done > 0) {
    const isFetching = [...model.items].some(({ kind }) => kind === "realise");
    const of = copies.expected > 0 ? `/${copies.expected}` : "";
    counts.push([
      `${copies.done}${of} ${isFetching ? "fetched" : "copied"}${volume(model, received, nowMs)}`,
      undefined,
    ]);
  } else if (received.done > 0) {
    counts.push([`received${volume(model, received, nowMs)}`, undefined]);
  }
  for (const { kind, done, expected, bytesFreed } of model.items) {
    const verb = kind === "optimise-store" ? "optimising" : kind === "verify-paths" ? "verifying" : undefined;
    if (verb === undefined || (done === 0 && expected === 0)) continue;
    counts.push([`${verb} ${done}${expected > 0 ? `/${expected}` : ""}`, undefined]);
    if (bytesFreed > 0) counts.push([`${showBytes(bytesFreed)} freed`, "good"]);
  }
  return counts;
}

function volume(
  model: ProgressModel,
  { done, expected }: ReturnType<ProgressModel["received"]>,
  nowMs: number,
): string {
  if (done === 0) return "";
  const speed = model.bytesPerSecond(nowMs);
  const of = expected > done ? ` of ${showBytes(expected)}` : "";
  return ` ${showBytes(done)}${of}${speed >= 1 ? ` at ${showBytes(Math.round(speed))}/s` : ""}`;
}

/** Cut where the terminal ends. */
function line(parts: readonly [string, Style | undefined][], width: number, style: FrameStyle): LiveLine {
  let text = "";
  let cells = 0;
  for (const [part, partStyle] of parts) {
    const cut = cutToCells(part, width - cells, style.cut);
    cells += cellWidth(cut);
    const isPlain = partStyle === undefined || style.colours === "off" || cut === "";
    text += isPlain ? cut : `\x1b[${styleCodes[partStyle]}m${cut}\x1b[0m`;
    if (cells >= width) break;
  }
  return { text, cells };
}
