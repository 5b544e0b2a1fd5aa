/**
 * Settings between a client and its daemon: what the client sends besides the fixed fields of SetOptions, and what the
 * daemon makes of it. See the worker protocol, "Trust".
 */
import type { ByteString } from "../byte-string.ts";
import { words } from "../nix-conf.ts";
import {
  type Assignment,
  type BadSetting,
  overriddenSettings,
  resolveName,
  type Settings,
  settingText,
  withSettings,
} from "./settings.ts";
import { fromClient } from "./source.ts";
import type { ClientRule } from "./spec.ts";
import { groupOf, type SettingName, specOf } from "./table.ts";

export type Trust = "trusted" | "untrusted";

/** What became of a value that was not simply applied; for the daemon's log or, as a warning, for the client. */
export interface ClientNote {
  readonly level: "debug" | "warning";
  readonly message: string;
}

/**
 * Applies what a client sent by name. A value that is not allowed or does not fit is passed over with a note, as in Nix;
 * what an untrusted client may not set is kept as `untrusted-NAME`, for 1.7's helper programs.
 */
export function applyClientSettings(
  settings: Settings,
  sent: Iterable<readonly [name: ByteString, value: ByteString]>,
  trust: Trust,
): { settings: Settings; notes: ClientNote[] } {
  const notes: ClientNote[] = [];
  const allowed: Assignment[] = [];
  for (const [name, value] of sent) {
    const assignment = allowedAssignment(settings, name, value, trust, notes);
    if (assignment !== undefined) allowed.push(assignment);
  }
  const onBad = (error: BadSetting) => notes.push({ level: "warning", message: error.message });
  return { settings: withSettings(settings, allowed, onBad), notes };
}

/** Carried by fixed fields of SetOptions, or of no meaning to another process. */
const notSent: ReadonlySet<SettingName> = new Set([
  "keep-failed",
  "keep-going",
  "fallback",
  "max-jobs",
  "max-silent-time",
  "cores",
  "substitute",
  "show-trace",
  "store",
  "print-missing",
]);

/** What a client sends by name: the user's own settings, without those that travel otherwise; sorted. */
export function settingsForDaemon(settings: Settings): [name: SettingName, text: ByteString][] {
  return overriddenSettings(settings).filter(
    ([name]) => !notSent.has(name) && specOf(name).client !== "never" && groupOf(name) !== "evaluator",
  );
}

function allowedAssignment(
  settings: Settings,
  name: ByteString,
  value: ByteString,
  trust: Trust,
  notes: ClientNote[],
): Assignment | undefined {
  const target = resolveName(name);
  const rule = target === undefined ? ruleOfUnknown(name) : (specOf(target.setting).client ?? "restricted");
  if (rule === "never") {
    const ignored = `ignoring the client's setting ${JSON.stringify(name)}: no client may set it`;
    if (target === undefined || settingText(settings, target.setting) !== value)
      notes.push({ level: "debug", message: ignored });
    return undefined;
  }
  const assignment = { name, value, source: fromClient };
  if (trust === "trusted" || rule === "anybody" || (rule === "if-empty" && words(value).length === 0))
    return assignment;
  if (rule === "substituters") return { ...assignment, value: permittedSubstituters(settings, value, notes) };
  notes.push({
    level: "debug",
    message: `ignoring the client's setting ${JSON.stringify(name)}: it is restricted and the user is not trusted`,
  });
  return { ...assignment, name: `untrusted-${name}` as ByteString };
}

/** Clients of Nix 2.0 and 2.1 send the socket of their ssh agent, which a daemon has no business with. */
function ruleOfUnknown(name: string): ClientRule {
  return name === "ssh-auth-sock" ? "never" : "restricted";
}

/** Those that the daemon's settings name, with or without a slash at the end. */
function permittedSubstituters(settings: Settings, value: ByteString, notes: ClientNote[]): ByteString {
  const named = new Set([...settings.get("substituters"), ...settings.get("trusted-substituters")]);
  const kept: ByteString[] = [];
  for (const wanted of words(value)) {
    const slashed = `${wanted}/` as ByteString;
    if (named.has(wanted)) kept.push(wanted);
    else if (!wanted.endsWith("/") && named.has(slashed)) kept.push(slashed);
    else
      notes.push({
        level: "warning",
        message: `ignoring untrusted substituter ${JSON.stringify(wanted)}: it is in neither substituters nor trusted-substituters`,
      });
  }
  return kept.join(" ") as ByteString;
}
