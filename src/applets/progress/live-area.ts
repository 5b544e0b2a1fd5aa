/**
 * Lines at the bottom of a terminal that are replaced in place, with messages printed above them: which bytes do that.
 *
 * The cursor rests in the first column below the lines, is never hidden, and no mode of the terminal is left changed: the
 * process may die at any time, and what comes next begins on a line of its own. Each change is one write, in a
 * synchronized update where the terminal knows those (mode 2026), and overwrites lines instead of clearing them first.
 *
 * When a terminal is made narrower, most wrap what is longer; then our lines take more rows than we wrote, and perhaps more
 * than there are: those are out of reach until the terminal is made higher again.
 */

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export interface LiveLine {
  /** Without line end; escape sequences only of those that take no room. */
  readonly text: string;
  /** Columns that it takes. */
  readonly cells: number;
}

/** What a terminal does with lines that are too long when it is made narrower. */
export type Narrowing = "wraps" | "cuts";

export interface LiveArea {
  /** What to write so that `lines` are shown in place of those before; empty when nothing changes. Any may be none. */
  replace(lines: readonly LiveLine[], size: TerminalSize): Buffer;
  /** What to write so that `message`, which ends with a newline, comes above the lines. */
  printAbove(message: Buffer, size: TerminalSize): Buffer;
  /** Somebody else has written: what was shown is not to be replaced but left where it is. */
  abandon(): void;
  readonly isEmpty: boolean;
}

const beginUpdate = "\x1b[?2026h";
const endUpdate = "\x1b[?2026l";
const clearRestOfLine = "\x1b[K";
const clearBelow = "\x1b[J";
/**
 * The same for who has gone up: tmux keeps what is cleared from the first row on in its history, where nobody wants our lines.
 * After a change of size it is welcome to: rows that we lost track of do not come back from there.
 */
const clearFromTop = `${clearRestOfLine}\x1b[B${clearBelow}\x1b[A`;

export function liveArea(narrowing: Narrowing): LiveArea {
  let shown: readonly LiveLine[] = [];
  let drawnAt: TerminalSize = { columns: 0, rows: 0 };
  /** Columns of lines of ours that have left the terminal at its top, nothing else having been printed since. */
  let outOfReach: readonly number[] = [];

  const rowsOf = (cells: number, { columns }: TerminalSize) => {
    return narrowing === "cuts" ? 1 : Math.max(1, Math.ceil(cells / Math.max(1, columns)));
  };
  const sum = (widths: readonly number[], size: TerminalSize) => {
    return widths.reduce((rows, cells) => rows + rowsOf(cells, size), 0);
  };

  const isSameSize = ({ columns, rows }: TerminalSize) => columns === drawnAt.columns && rows === drawnAt.rows;

  /** Goes to the first row of ours, and remembers what lies above the terminal. `clear` is to be written there. */
  function goToTop(size: TerminalSize): { readonly top: string; readonly clear: string } {
    const widths = shown.map(({ cells }) => cells);
    const rows = sum(widths, size);
    const returning = outOfReach.length === 0 ? 0 : Math.max(0, size.rows - drawnAt.rows);
    const returned = Math.min(sum(outOfReach, size), returning);
    const reach = Math.min(rows + returned, size.rows - 1);
    const lost = rows - Math.min(rows, size.rows - 1);
    outOfReach = [...dropLast(outOfReach, returned, size), ...takeFirst(widths, lost, size)];
    const clear = reach > 0 && isSameSize(size) ? clearFromTop : clearBelow;
    return { top: reach > 0 ? `\r\x1b[${reach}A` : "\r", clear };
  }

  function takeFirst(widths: readonly number[], count: number, size: TerminalSize): number[] {
    const taken: number[] = [];
    let left = count;
    for (const cells of widths) {
      if (left <= 0) break;
      const rows = rowsOf(cells, size);
      taken.push(rows <= left ? cells : left * size.columns);
      left -= rows;
    }
    return taken;
  }

  function dropLast(widths: readonly number[], count: number, size: TerminalSize): number[] {
    return takeFirst(widths, sum(widths, size) - count, size);
  }

  const overwritten = (lines: readonly LiveLine[]) => lines.map(({ text }) => `${text}${clearRestOfLine}\r\n`).join("");

  return {
    replace(lines, size) {
      if (shown.length === 0 && lines.length === 0) return Buffer.alloc(0);
      const isSame = lines.length === shown.length && lines.every(({ text }, i) => text === shown[i]!.text);
      if (isSame && isSameSize(size)) return Buffer.alloc(0);
      // After a change of size nobody knows what stands where; without one, what stays the same is not touched.
      const clearFirst = !isSameSize(size) || lines.length === 0;
      const { top, clear } = shown.length === 0 ? { top: "\r", clear: clearBelow } : goToTop(size);
      const rest = lines.length === 0 ? "" : clearBelow;
      if (lines.length === 0) outOfReach = [];
      shown = lines;
      drawnAt = size;
      return Buffer.from(`${beginUpdate}${top}${clearFirst ? clear : ""}${overwritten(lines)}${rest}${endUpdate}`);
    },
    printAbove(message, size) {
      if (shown.length === 0) return message;
      const { top, clear } = goToTop(size);
      outOfReach = [];
      drawnAt = size;
      // Lines that were for a wider terminal would wrap: the next replacement brings others.
      shown = shown.filter(({ cells }) => cells <= size.columns).slice(0, Math.max(0, size.rows - 1));
      return Buffer.concat([
        Buffer.from(`${beginUpdate}${top}${clear}`),
        message,
        Buffer.from(`${overwritten(shown)}${endUpdate}`),
      ]);
    },
    abandon() {
      shown = [];
      outOfReach = [];
    },
    get isEmpty() {
      return shown.length === 0;
    },
  };
}
