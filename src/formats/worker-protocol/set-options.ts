/**
 * SetOptions, what a client wants of the following requests. The fixed fields hold for every client; the overrides by name are for the
 * daemon to judge (settings/client-settings.ts).
 */
import type { ByteString } from "../byte-string.ts";
import { bool, int, list, record, since, string, type WireType } from "./wire-type.ts";

export interface ClientOptions {
  readonly keepFailed: boolean;
  readonly keepGoing: boolean;
  readonly tryFallback: boolean;
  /** In the numbers of the client's version: {@link levelFromClient}. */
  readonly verbosity: number;
  readonly maxBuildJobs: number;
  readonly maxSilentTimeSec: number;
  readonly useBuildHook: boolean;
  /** For clients since 2.0, 0 asks for the builders' output as lines. For 1.x the level that it is of. */
  readonly buildVerbosity: number;
  readonly logType: number;
  readonly printBuildTrace: number;
  readonly buildCores: number;
  readonly useSubstitutes: boolean;
  readonly overrides: readonly (readonly [name: ByteString, value: ByteString])[];
}

const override: WireType<readonly [ByteString, ByteString]> = {
  *read(context) {
    return [yield* string.read(context, "name of setting"), yield* string.read(context, "value of setting")];
  },
  write(writer, [name, value]) {
    writer.string(name).string(value);
  },
};

const noOverrides: ClientOptions["overrides"] = [];

export const clientOptions: WireType<ClientOptions> = record<ClientOptions>({
  keepFailed: bool,
  keepGoing: bool,
  tryFallback: bool,
  verbosity: int,
  maxBuildJobs: int,
  maxSilentTimeSec: int,
  useBuildHook: bool,
  buildVerbosity: int,
  logType: int,
  printBuildTrace: int,
  buildCores: int,
  useSubstitutes: bool,
  overrides: since(12, list(override), noOverrides),
});

/**
 * Today's level, 0 (error) to 7 (vomit), of what a client calls its verbosity. Until Nix 2.2 there was no warning and no notice, 2.3 has the
 * first of these and the version number of 2.1 and 2.2: their usual 1 and 2 both mean that messages for the user are wanted.
 */
export function levelFromClient(minor: number, verbosity: number): number {
  const levels = minor >= 22 ? identity : minor >= 20 ? of23 : of1;
  return levels[Math.min(verbosity, levels.length - 1)]!;
}

/** What a daemon of this version calls today's level. */
export function levelForDaemon(minor: number, level: number): number {
  if (minor >= 22) return level;
  const levels = minor >= 20 ? of23 : of1;
  let verbosity = 0;
  levels.forEach((each, i) => {
    if (each <= level) verbosity = i;
  });
  return verbosity;
}

const identity = [0, 1, 2, 3, 4, 5, 6, 7];
const of23 = [0, 3, 3, 4, 5, 6, 7];
const of1 = [0, 3, 4, 5, 6, 7];
