/**
 * How many columns of a terminal a text takes: none for what combines with the character before, two for what Unicode's
 * East Asian Width (UAX #11) calls wide and for emoji, one for all else. Where terminals differ, the larger number: a line
 * that comes out short is cut a little early, one that comes out long would wrap.
 */

/** Ranges of wide characters, first and last of each in turn, ascending. */
const wide: readonly number[] = [
  0x1100, 0x115f, 0x231a, 0x231b, 0x2329, 0x232a, 0x23e9, 0x23ec, 0x23f0, 0x23f0, 0x23f3, 0x23f3, 0x25fd, 0x25fe,
  0x2600, 0x27bf, 0x2b1b, 0x2b1c, 0x2b50, 0x2b55, 0x2e80, 0x303e, 0x3041, 0x4dbf, 0x4e00, 0xa4cf, 0xa960, 0xa97f,
  0xac00, 0xd7a3, 0xf900, 0xfaff, 0xfe10, 0xfe19, 0xfe30, 0xfe6f, 0xff01, 0xff60, 0xffe0, 0xffe6, 0x16fe0, 0x18d08,
  0x1aff0, 0x1b2fb, 0x1d300, 0x1d376, 0x1f000, 0x1faff, 0x20000, 0x3fffd,
];

const combining = /^[\p{Mn}\p{Me}]$/u;

export function cellWidth(text: string): number {
  let cells = 0;
  for (const character of text) cells += characterCells(character);
  return cells;
}

/** The text, or where it takes more than `cells` columns its beginning with `mark` behind. */
export function cutToCells(text: string, cells: number, mark: string): string {
  if (cellWidth(text) <= cells) return text;
  const room = cells - cellWidth(mark);
  let used = 0;
  let kept = "";
  for (const character of text) {
    used += characterCells(character);
    if (used > room) break;
    kept += character;
  }
  return room < 0 ? mark.slice(0, Math.max(0, cells)) : kept + mark;
}

function characterCells(character: string): number {
  const point = character.codePointAt(0)!;
  if (point < 0x300) return 1;
  if (combining.test(character)) return 0;
  let low = 0;
  let high = wide.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (wide[middle * 2 + 1]! < point) low = middle + 1;
    else high = middle;
  }
  return low < wide.length / 2 && wide[low * 2]! <= point ? 2 : 1;
}
