/** nix-collect-garbage: deletes old generations of all profiles, and then what nothing needs any more. */
import { UsageError } from "../error.ts";
import { type ByteString, fromText, toText } from "../formats/byte-string.ts";
import {
  deleteGenerations,
  findProfiles,
  type GenerationsToDelete,
  parseAge,
  parseGenerations,
} from "../gc/profiles/generations.ts";
import type { CollectResults } from "../store/collect-service.ts";
import { mayAccess } from "../sys/names.ts";
import { type CommandLine, commandApplet } from "./command-line.ts";
import type { CommandSpec } from "./command-line/option-spec.ts";
import type { Io } from "./io.ts";
import { withStore } from "./open-store.ts";
import { openSession, type Session } from "./session.ts";
import { collectAndTell, collectorOf, parseMaxFreed } from "./store-collector.ts";

const options = {
  "delete-old": { letter: "d", help: "Delete all generations of profiles but the current ones" },
  "delete-older-than": { operands: ["DAYS"], help: "Delete generations older than that, such as 30d" },
  "delete-generations": { operands: ["WHICH"], help: "Delete generations: old, 30d, +5 (keep the last five) or 3,4,7" },
  "max-freed": {
    operands: ["BYTES"],
    help: "Stop when so many bytes are freed; K, M, G and T stand for powers of 1024",
  },
  "dry-run": { help: "Say which generations would be deleted, and do nothing" },
} as const;

type Option = keyof typeof options;

const shared: Pick<CommandSpec<Option>, "usage" | "options" | "unknownFlag"> = {
  usage: ["[-d | --delete-older-than DAYS | --delete-generations WHICH] [--max-freed BYTES] [--dry-run]"],
  options,
  unknownFlag: "unrecognised flag",
};

export const nixCollectGarbage = commandApplet<Option>(
  {
    ...shared,
    name: "nix-collect-garbage",
    family: "nix",
    summary: "Delete what no profile and no other root needs",
    examples: [
      { does: "Delete what nothing needs", command: "nix-collect-garbage" },
      { does: "Old generations of profiles, too", command: "nix-collect-garbage --delete-older-than 30d" },
    ],
  },
  run,
);

export const gc = commandApplet<Option | "json">(
  {
    ...shared,
    usage: [`${shared.usage[0]} [--json]`],
    options: { ...options, json: { help: "Print an object with `paths`, which were deleted, and `bytesFreed`" } },
    name: "silo gc",
    family: "silo",
    summary: "Delete what no profile and no other root needs",
    examples: [
      { does: "Delete what nothing needs", command: "silo gc" },
      { does: "Old generations of profiles, too", command: "silo gc --delete-older-than 30d" },
      { does: "Make room for a big build", command: "silo gc --max-freed 10G" },
    ],
  },
  run,
);

async function run(line: CommandLine<Option | "json">, io: Io): Promise<number> {
  if (line.operands.length > 0) throw new UsageError(`unexpected argument '${line.operands[0]}'`);
  const which = generationsToDelete(line);
  const maxFreed = line.last("max-freed");
  const limit = maxFreed === undefined ? undefined : parseMaxFreed(maxFreed);
  const session = openSession(line, io);
  if (which !== undefined) deleteOldGenerations(session, which, line.has("dry-run") ? "dry" : "delete");
  if (line.has("dry-run")) return 0;
  await withStore(session, async (store) => {
    const service = await collectorOf(store);
    const all = { action: "delete-dead", paths: [], liveness: "respect", referrers: "keep", maxFreed: limit } as const;
    if (line.has("json")) printCollected(await service.collect(all), io);
    else await collectAndTell(service, all, io);
  });
  return 0;
}

/** Piece by piece: there may be a million paths. */
function printCollected({ paths, bytesFreed }: CollectResults, io: Io): void {
  let separator = "";
  io.out('{\n  "paths": [');
  for (const path of paths) {
    io.out(`${separator}\n    ${fromText(JSON.stringify(toText(path as ByteString)))}`);
    separator = ",";
  }
  io.out(`${separator === "" ? "" : "\n  "}],\n  "bytesFreed": ${bytesFreed}\n}\n`);
}

/** @throws UsageError, BadGenerations */
function generationsToDelete(line: CommandLine<Option>): GenerationsToDelete | undefined {
  const age = line.last("delete-older-than");
  if (age !== undefined) return { kind: "older-than", days: parseAge(age) };
  const words = line.given.get("delete-generations");
  if (words !== undefined) return parseGenerations(words);
  return line.has("delete-old") ? { kind: "old" } : undefined;
}

function deleteOldGenerations(
  { directories, reporter }: Session,
  which: GenerationsToDelete,
  run: "delete" | "dry",
): void {
  const nowSec = Math.floor(Date.now() / 1000);
  const mayWrite = (path: string) => mayAccess(path, 2);
  findProfiles(`${directories.stateDir}/profiles`, mayWrite, (profile) => {
    reporter.message("info", `removing old generations of profile ${profile}`);
    deleteGenerations(profile, { which, run, reporter, nowSec });
  });
}
