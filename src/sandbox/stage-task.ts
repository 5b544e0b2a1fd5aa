/**
 * What a stage is told to do: the hidden command `__build-stage` of the same executable reads it, as CBOR, from its
 * standard input. Only silo speaks to silo here, and both ends are the same program.
 */
import { Decoder, Encoder } from "cbor-x/index-no-eval";
import type { PlannedCall } from "../sys/planned-calls.ts";

/** A built-in builder: the calls that isolate it, and what it is to do then. */
export interface BuiltinTask {
  readonly kind: "builtin";
  readonly calls: readonly PlannedCall[];
  readonly name: string;
  readonly attributes: readonly (readonly [name: string, value: string])[];
  readonly downloads: StagedDownloads;
}

/** Settings for downloads, and contents of files of the host, which a sandbox does not show. */
export interface StagedDownloads {
  readonly netrc: string | undefined;
  readonly certificates: string | undefined;
  readonly hashedMirrors: readonly string[];
  readonly attempts: number;
  readonly connectTimeoutSec: number;
  readonly userAgentSuffix: string;
}

/** Kills what builders have left when the process that watched over them is gone. */
export interface WatchdogTask {
  readonly kind: "watchdog";
}

export type StageTask = BuiltinTask | WatchdogTask;

const options = { useRecords: false, tagUint8Array: false };

export function encodeStageTask(task: StageTask): Uint8Array {
  return new Encoder(options).encode(task);
}

export function decodeStageTask(bytes: Uint8Array): StageTask {
  return new Decoder(options).decode(bytes) as StageTask;
}
