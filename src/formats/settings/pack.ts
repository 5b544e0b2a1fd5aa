/**
 * _NIX_OPTIONS: how Nix 1.7 hands its settings to helper programs, as lines of `NAME=VALUE` under 1.7's names. Only what
 * was set is in it; helpers have defaults of their own.
 */
import { SiloError } from "../../error.ts";
import type { ByteString } from "../byte-string.ts";
import type { Assignment, Settings } from "./settings.ts";
import type { SettingSource } from "./source.ts";
import { type SettingName, specOf } from "./table.ts";

export class BadSettingsPack extends SiloError {
  readonly code = "bad-settings-pack";
  constructor(
    readonly line: string,
    readonly reason: string,
  ) {
    super(`Cannot pass settings through _NIX_OPTIONS: ${JSON.stringify(line)}: ${reason}`);
  }
}

/**
 * Sorted by name. Values with line ends cannot be told apart from further settings: one that 1.7 does not know
 * is left out, for no helper asks for it.
 * @throws BadSettingsPack for any other such value, and for names that the format cannot hold
 */
export function packSettings(settings: Settings): ByteString {
  const lines: string[] = [];
  for (const [name, { text }] of settings.assigned) {
    const { oldName } = specOf(name);
    if (oldName === undefined && text.includes("\n")) continue;
    lines.push(packLine(oldName ?? name, oldText(name, text)));
  }
  for (const [name, { text }] of settings.unknown) lines.push(packLine(name, text));
  return lines.sort().join("") as ByteString;
}

/** The inverse, for helper programs. Names stay as they are, since all old ones are aliases. @throws BadSettingsPack */
export function unpackSettings(pack: ByteString): Assignment[] {
  const assignments: Assignment[] = [];
  for (const line of pack.split("\n")) {
    if (line === "") continue;
    const equals = line.indexOf("=");
    if (equals <= 0) throw new BadSettingsPack(line, `expected "NAME=VALUE"`);
    const name = line.slice(0, equals) as ByteString;
    assignments.push({ name, value: line.slice(equals + 1) as ByteString, source: fromPack });
  }
  return assignments;
}

const fromPack: SettingSource = { kind: "environment", variable: "_NIX_OPTIONS" };

/** 1.7's sandbox is on or off. */
function oldText(name: SettingName, text: string): string {
  return name === "sandbox" && text === "relaxed" ? "true" : text;
}

function packLine(name: string, text: string): string {
  if (/[\n=]/.test(name)) throw new BadSettingsPack(name, "the name holds a line end or an equals sign");
  if (text.includes("\n")) throw new BadSettingsPack(`${name}=${text}`, "the value holds a line end");
  return `${name}=${text}\n`;
}
