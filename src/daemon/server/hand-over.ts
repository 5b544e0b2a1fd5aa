/**
 * What the daemon and the process that serves one connection tell each other, as lines of JSON in two pipes. The process says whom it has
 * accepted; the daemon says what to do about that. Strings are byte strings.
 */
import { SiloError } from "../../error.ts";
import type { ByteString } from "../../formats/byte-string.ts";
import type { Trust } from "../../formats/settings/client-settings.ts";
import type { Facts } from "../../formats/settings/facts.ts";
import { type Assignment, defaultSettings, type Settings, withSettings } from "../../formats/settings/settings.ts";

export interface AcceptedPeer {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export type Decision =
  | {
      readonly kind: "serve";
      readonly trust: Trust;
      readonly user: string;
      /** What is set in the daemon, by whom. */
      readonly settings: readonly Assignment[];
    }
  | { readonly kind: "refuse"; readonly reason: string };

export class BadHandOver extends SiloError {
  readonly code = "bad-hand-over";
}

/** Everything that is not a default. */
export function assignmentsOf(settings: Settings): Assignment[] {
  const all = [...settings.assigned, ...settings.unknown];
  return all.map(([name, { text, source }]) => ({ name: name as ByteString, value: text, source }));
}

export function settingsOf(facts: Facts, assignments: readonly Assignment[]): Settings {
  return withSettings(defaultSettings(facts), assignments);
}

export function encodeLine(value: AcceptedPeer | Decision): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`, "utf8");
}

/** The two processes are of one program: what arrives is what was sent, or cut off. @throws BadHandOver */
export function decodeLine<T extends AcceptedPeer | Decision>(line: string): T {
  try {
    return JSON.parse(line) as T;
  } catch (cause) {
    throw new BadHandOver("cannot understand the daemon's other process: its message is cut off", { cause });
  }
}
