/**
 * What builders print, made fit for a place in a line: a log may hold anything, and must not move the cursor, forge a line
 * or upset the count of columns.
 */

import { escapeSequences, plainText } from "../../formats/plain-text.ts";

/** Controls, and invisible characters that change the direction or the width of others, or stand for no character. */
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Variation_Selector}]/gu;

/** Select Graphic Rendition: with the group, a split keeps them. */
const colour = /(\x1b\[[0-9;:]*m)/;

/** A log line may be a megabyte, and no terminal shows more than this. */
const maxCharacters = 4096;

/** Without escape sequences and invisible characters, and without blanks at the ends; tabs are blanks. */
export function visibleText(text: string): string {
  const start = text.length > maxCharacters ? text.slice(0, maxCharacters) : text;
  if (!/[^\x20-\x7e]/.test(start)) return start.trim();
  return start.replace(escapeSequences, "").replace(/\t/g, " ").replace(invisible, "").trim();
}

/** The line with its colours, and nothing else that a terminal acts on. Takes and gives a byte string. */
export function colouredText(line: string): string {
  if (!/[\x00-\x1f\x7f]/.test(line)) return line;
  const parts = line.split(colour).map((part, i) => (i % 2 === 1 ? part : plainText(part)));
  return parts.length === 1 ? parts[0]! : `${parts.join("")}\x1b[0m`;
}
