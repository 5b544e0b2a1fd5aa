/**
 * Messages quote file names and foreign text, which are byte strings (formats/byte-string.ts), between words of ours,
 * which are text: what is below U+0100 is a byte, all else a character.
 */

/** For a terminal or a log: bytes as they are, other characters in UTF-8. */
export function messageBytes(message: string): Buffer {
  if (!/[^\x00-\xff]/.test(message)) return Buffer.from(message, "latin1");
  const parts = message.split(/([^\x00-\xff]+)/);
  return Buffer.concat(parts.map((part, i) => Buffer.from(part, i % 2 === 1 ? "utf8" : "latin1")));
}

/** Makes control characters visible, so that nobody's file name can move the cursor or forge a line. */
export function escapeControls(message: string): string {
  return message.replace(/[\x00-\x08\x0a-\x1f\x7f]/g, (control) => {
    return control === "\n" ? "\\n" : `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}
