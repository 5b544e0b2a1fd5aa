/** The numbers that kinds of activities and results have in Nix's protocol and in its internal-json log format. */
import type { ActivityField, ActivityKind, ActivityResult } from "./reporter.ts";

export const activityNumbers: Readonly<Record<ActivityKind, number>> = {
  unknown: 0,
  "copy-path": 100,
  "file-transfer": 101,
  realise: 102,
  "copy-paths": 103,
  builds: 104,
  build: 105,
  "optimise-store": 106,
  "verify-paths": 107,
  substitute: 108,
  "query-path-info": 109,
  "post-build-hook": 110,
  "build-waiting": 111,
};

const resultNumbers: Readonly<Record<ActivityResult["kind"], number>> = {
  "file-linked": 100,
  "build-log-line": 101,
  "untrusted-path": 102,
  "corrupted-path": 103,
  "set-phase": 104,
  progress: 105,
  "set-expected": 106,
  "post-build-log-line": 107,
};

/** The number of a result and its values, in the order that the protocol has them in. */
export function encodeResult(result: ActivityResult): { readonly number: number; readonly fields: ActivityField[] } {
  return { number: resultNumbers[result.kind], fields: fieldsOf(result) };
}

function fieldsOf(result: ActivityResult): ActivityField[] {
  switch (result.kind) {
    case "file-linked":
      return [result.bytesFreed, result.blocksFreed];
    case "build-log-line":
    case "post-build-log-line":
      return [result.line];
    case "untrusted-path":
    case "corrupted-path":
      return [result.path];
    case "set-phase":
      return [result.phase];
    case "progress":
      return [result.done, result.expected, result.running, result.failed];
    case "set-expected":
      return [activityNumbers[result.of], result.expected];
  }
}
