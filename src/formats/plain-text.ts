/** What programs print, without what a terminal acts on: control sequences (ECMA-48) and control characters. */

/** Control sequences, operating system commands, other escapes. */
export const escapeSequences = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])/g;

/** Of a line. Takes and gives a byte string, or text; tabs stay. */
export function plainText(line: string): string {
  if (!/[\x00-\x08\x0a-\x1f\x7f]/.test(line)) return line;
  return line.replace(escapeSequences, "").replace(/[\x00-\x08\x0a-\x1f\x7f]/g, "");
}
