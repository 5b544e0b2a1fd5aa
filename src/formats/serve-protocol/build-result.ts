/**
 * How a build went, as the serve protocol has it:
 *
 *     status, string error message
 *     u64 times built, bool is non-deterministic, u64 start, u64 stop        2.3
 *     map of output to realisation                                            2.6; by path 2.8
 *
 * The server of Nix 2.8.0 always sends the last, whatever the client's version: who announces 2.7 or later need not care.
 */
import { type BuildResult, builtOutputs, buildStatuses } from "../worker-protocol/build-result.ts";
import { bool, int, oneOf, record, since, size, string, type WireType } from "../worker-protocol/wire-type.ts";

export type ServeBuildResult = Omit<BuildResult, "cpuUserUs" | "cpuSystemUs">;

export const serveBuildResult: WireType<ServeBuildResult> = record<ServeBuildResult>({
  status: oneOf(buildStatuses),
  errorMessage: string,
  timesBuilt: since(3, int, 0),
  isNonDeterministic: since(3, bool, false),
  startTimeSec: since(3, size, 0),
  stopTimeSec: since(3, size, 0),
  builtOutputs: since(6, builtOutputs, new Map() as BuildResult["builtOutputs"]),
});
