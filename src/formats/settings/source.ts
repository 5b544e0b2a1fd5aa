/** Where a setting came from, for messages and for knowing what a daemon must be told. */
import { type ByteString, toText } from "../byte-string.ts";

export type SettingSource =
  /** The system's nix.conf, or a user's; `line` counts from 1. */
  | { readonly kind: "file"; readonly scope: "system" | "user"; readonly file: ByteString; readonly line: number }
  | { readonly kind: "environment"; readonly variable: string; readonly line?: number }
  | { readonly kind: "command-line" }
  /** A client of the daemon. */
  | { readonly kind: "client" };

export const fromCommandLine: SettingSource = { kind: "command-line" };
export const fromClient: SettingSource = { kind: "client" };

/** With a preposition: `in "/etc/nix/nix.conf" line 3`. */
export function printSource(source: SettingSource): string {
  switch (source.kind) {
    case "file":
      return `in ${JSON.stringify(toText(source.file))} line ${source.line}`;
    case "environment":
      return `in the environment variable ${source.variable}${source.line === undefined ? "" : ` line ${source.line}`}`;
    case "command-line":
      return "on the command line";
    case "client":
      return "for the client";
  }
}

/** Set by the user rather than the administrator of this machine? */
export function isOverride(source: SettingSource): boolean {
  return source.kind !== "file" || source.scope === "user";
}
