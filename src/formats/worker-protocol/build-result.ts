/**
 * How a build went:
 *
 *     status, string error message
 *     u64 times built, bool is non-deterministic, u64 start, u64 stop        1.29
 *     optional CPU time of user, of system                                    1.37
 *     map of output to realisation                                            1.28
 *
 * The map is keyed by `sha256:<hash>!<output>` with JSON behind, or, with the feature `realisation-with-path-not-hash`, by output name with
 * path and signatures behind. An optional time is u64 0, or u64 1 and microseconds as a signed number.
 */
import type { ByteString } from "../byte-string.ts";
import { fromText } from "../byte-string.ts";
import type { StorePath } from "../store-path.ts";
import { BadWire, readU64 } from "../wire.ts";
import { parseDrvOutput, parseRealisation, printDrvOutput, printRealisation, type Realisation } from "./realisation.ts";
import { realisationByPath } from "./version.ts";
import { bool, int, map, oneOf, record, set, since, size, storePath, string, type WireType } from "./wire-type.ts";

/** Their positions are their numbers. */
export const buildStatuses = [
  "built",
  "substituted",
  "already-valid",
  "permanent-failure",
  "input-rejected",
  "output-rejected",
  "transient-failure",
  "cached-failure",
  "timed-out",
  "misc-failure",
  "dependency-failed",
  "log-limit-exceeded",
  "not-deterministic",
  "resolves-to-already-valid",
  "no-substituters",
] as const;
export type BuildStatus = (typeof buildStatuses)[number];

export function isSuccess(status: BuildStatus): boolean {
  return (
    status === "built" ||
    status === "substituted" ||
    status === "already-valid" ||
    status === "resolves-to-already-valid"
  );
}

export interface BuiltOutput {
  readonly path: StorePath;
  readonly signatures: readonly string[];
  /** `sha256:<base16>` of the derivation modulo; undefined when not known. */
  readonly drvHash: string | undefined;
}

export interface BuildResult {
  readonly status: BuildStatus;
  /** Empty for success. */
  readonly errorMessage: ByteString;
  readonly timesBuilt: number;
  readonly isNonDeterministic: boolean;
  /** Seconds since the epoch; 0 for none. */
  readonly startTimeSec: number;
  readonly stopTimeSec: number;
  /** Microseconds. */
  readonly cpuUserUs: number | undefined;
  readonly cpuSystemUs: number | undefined;
  /** By output name. */
  readonly builtOutputs: ReadonlyMap<string, BuiltOutput>;
}

/** Where Nix 2.35 must write a hash that it does not have any more. */
const noDrvHash = `sha256:${"0".repeat(64)}`;

const microseconds: WireType<number | undefined> = {
  *read(_, what) {
    const tag = yield* readU64();
    if (tag === 0n) return undefined;
    if (tag !== 1n) throw new BadWire(what, `expected 0 or 1, found ${tag}`);
    const value = Number(BigInt.asIntN(64, yield* readU64()));
    if (!Number.isSafeInteger(value)) throw new BadWire(what, "it is too large");
    return value;
  },
  write(writer, value) {
    if (value === undefined) writer.u64(0);
    else writer.u64(1).u64(BigInt(value));
  },
};

const realisationsById = map(string, string);
const outputsByName = map(
  string as WireType<string>,
  record<Pick<BuiltOutput, "path" | "signatures">>({ path: storePath, signatures: set(string as WireType<string>) }),
);

/** The serve protocol has them, too. */
export const builtOutputs: WireType<BuildResult["builtOutputs"]> = {
  *read(context, what) {
    const outputs = new Map<string, BuiltOutput>();
    if (context.features.has(realisationByPath)) {
      for (const [name, output] of yield* outputsByName.read(context, what))
        outputs.set(name, { ...output, drvHash: undefined });
      return outputs;
    }
    for (const [id, json] of yield* realisationsById.read(context, what)) {
      const { drvHash, output } = parseDrvOutput(id);
      const { path, signatures } = parseRealisation(json);
      outputs.set(output, { path, signatures, drvHash: drvHash === noDrvHash ? undefined : drvHash });
    }
    return outputs;
  },
  write(writer, outputs, context) {
    if (context.features.has(realisationByPath)) {
      outputsByName.write(writer, outputs, context);
      return;
    }
    const realisations = new Map<ByteString, ByteString>();
    for (const [output, { path, signatures, drvHash = noDrvHash }] of outputs) {
      const realisation: Realisation = { id: { drvHash, output }, path, signatures, dependencies: new Map() };
      realisations.set(fromText(printDrvOutput(realisation.id)), printRealisation(realisation));
    }
    realisationsById.write(writer, realisations, context);
  },
};

export const buildResult: WireType<BuildResult> = record<BuildResult>({
  status: oneOf(buildStatuses),
  errorMessage: string,
  timesBuilt: since(29, int, 0),
  isNonDeterministic: since(29, bool, false),
  startTimeSec: since(29, size, 0),
  stopTimeSec: since(29, size, 0),
  cpuUserUs: since(37, microseconds, undefined as number | undefined),
  cpuSystemUs: since(37, microseconds, undefined as number | undefined),
  builtOutputs: since(28, builtOutputs, new Map() as BuildResult["builtOutputs"]),
});
