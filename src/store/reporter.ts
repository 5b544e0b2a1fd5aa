/**
 * What the store says while it works: messages for people, and activities with progress for whoever draws them. The
 * store and the services only tell; the applets print, and the daemon forwards to its client. Activity and result kinds
 * are those of Nix's protocol and of its internal-json log format, which give them their numbers.
 */

/** From what must be read to what only developers ask for; Nix's levels 0 to 7. */
export const messageLevels = ["error", "warning", "notice", "info", "talkative", "chatty", "debug", "vomit"] as const;
export type MessageLevel = (typeof messageLevels)[number];

export type ActivityKind =
  | "unknown"
  | "copy-path"
  | "file-transfer"
  | "realise"
  | "copy-paths"
  | "builds"
  | "build"
  | "optimise-store"
  | "verify-paths"
  | "substitute"
  | "query-path-info"
  | "post-build-hook"
  | "build-waiting";

/** Values that describe an activity or a result, in the order that the kind defines. */
export type ActivityField = string | number;

export type ActivityResult =
  | { readonly kind: "file-linked"; readonly bytesFreed: number; readonly blocksFreed: number }
  | { readonly kind: "build-log-line"; readonly line: string }
  | { readonly kind: "untrusted-path"; readonly path: string }
  | { readonly kind: "corrupted-path"; readonly path: string }
  | { readonly kind: "set-phase"; readonly phase: string }
  | {
      readonly kind: "progress";
      readonly done: number;
      readonly expected: number;
      readonly running: number;
      readonly failed: number;
    }
  | { readonly kind: "set-expected"; readonly of: ActivityKind; readonly expected: number }
  | { readonly kind: "post-build-log-line"; readonly line: string };

export interface Activity {
  result(result: ActivityResult): void;
  stop(): void;
}

export interface ActivityStart {
  readonly kind: ActivityKind;
  readonly level: MessageLevel;
  readonly text: string;
  readonly fields?: readonly ActivityField[];
  readonly parent?: Activity;
}

export interface Reporter {
  message(level: MessageLevel, text: string): void;
  start(activity: ActivityStart): Activity;
}

const silentActivity: Activity = { result() {}, stop() {} };

/** For those who do not listen. */
export const silentReporter: Reporter = { message() {}, start: () => silentActivity };
