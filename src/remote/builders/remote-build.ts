/** One build on another machine: inputs there, the build, outputs back. */
import { type ByteString, fromText } from "../../formats/byte-string.ts";
import { SiloError } from "../../error.ts";
import type { BasicDerivation, Derivation } from "../../formats/derivation/derivation.ts";
import type { ServeBuildSettings } from "../../formats/serve-protocol/commands.ts";
import type { StorePath } from "../../formats/store-path.ts";
import { type BuildStatus, isSuccess } from "../../formats/worker-protocol/build-result.ts";
import { openInfoReceiver } from "../../store/add-with-info.ts";
import type { HookFailure } from "../../store/build-hook.ts";
import { type LocalStore, showPath } from "../../store/local-store.ts";
import type { PathInfo } from "../../store/path-info.ts";
import { moveToInvalid, removeInvalid } from "../../store/place-object.ts";
import { isValidPath } from "../../store/queries.ts";
import { optimiseTree } from "../../store/optimise.ts";
import { registerValidPaths } from "../../store/register.ts";
import { sortInfos } from "../copy-closure.ts";
import type { RemotePathInfo, RemoteStore } from "../remote-store.ts";
import { type PendingUploads, uploadInputs } from "./uploads.ts";

export interface BuildTask {
  readonly drvPath: StorePath;
  readonly derivation: Derivation;
  /** The closure of the inputs. */
  readonly inputs: readonly StorePath[];
  /** Wanted, and not valid here. Whoever asks has their locks. */
  readonly outputs: readonly StorePath[];
  readonly settings: ServeBuildSettings;
}

export type BuildOutcome = { readonly kind: "built" } | { readonly kind: HookFailure; readonly reason: string };

export interface BuildPlace {
  readonly remote: RemoteStore;
  /** What is on its way to the machine. */
  readonly pending: PendingUploads;
  /** Have the machine fetch inputs itself where it can (builders-use-substitutes). */
  readonly substitute: "use" | "no";
  /** Resolves with the slot taken, and what gives it back: sending inputs and fetching outputs needs none. */
  takeSlot(): Promise<() => void>;
}

/** The remote has built something and does not have it. */
export class OutputMissing extends SiloError {
  readonly code = "output-missing";
}

/** Rejects when the conversation fails; a build that fails is a result. @param onLog told of log lines that come in the conversation itself */
export async function buildRemotely(
  store: LocalStore,
  { remote, pending, substitute, takeSlot }: BuildPlace,
  { drvPath, derivation, inputs, outputs, settings }: BuildTask,
  onLog: (bytes: ByteString) => void,
): Promise<BuildOutcome> {
  const valid = await remote.queryValidPaths(inputs, { roots: "take", substitute });
  const missing = inputs.filter((path) => !valid.has(path));
  if (missing.length > 0) await uploadInputs(store, remote, pending, missing);
  const giveBack = await takeSlot();
  let infos: ReadonlyMap<StorePath, RemotePathInfo>;
  try {
    const basic = withSourcesOnly(derivation, inputs);
    const result = remote.build({ drvPath, derivation: basic, settings, onLog });
    // Asked at once: the answer comes with that of the build.
    const asked = remote.queryPathInfos(outputs);
    asked.catch(() => {});
    const { status, errorMessage } = await result;
    if (!isSuccess(status)) {
      return {
        kind: failureKind(status),
        reason: `failed on '${fromText(remote.name)}': ${plainMessage(errorMessage)}`,
      };
    }
    infos = await asked;
  } finally {
    giveBack();
  }
  await fetchOutputs(store, remote, outputs, infos);
  return { kind: "built" };
}

function withSourcesOnly({ inputDrvs: _, ...basic }: Derivation, inputs: readonly StorePath[]): BasicDerivation {
  return { ...basic, inputSrcs: new Set(inputs) };
}

function failureKind(status: BuildStatus): HookFailure {
  switch (status) {
    case "permanent-failure":
    case "input-rejected":
    case "output-rejected":
    case "cached-failure":
    case "not-deterministic":
      return "permanent";
    case "timed-out":
      return "timed-out";
    default:
      return "misc";
  }
}

/** Without the colours that Nix puts in it. */
function plainMessage(message: ByteString): string {
  return message
    .replace(/\x1b\[[0-9;]*m/g, "")
    .replace(/^error:\s*/, "")
    .trim();
}

/** Registers all in one transaction, with their signatures. */
async function fetchOutputs(
  store: LocalStore,
  remote: RemoteStore,
  outputs: readonly StorePath[],
  infos: ReadonlyMap<StorePath, RemotePathInfo>,
): Promise<void> {
  for (const output of outputs) {
    if (!infos.has(output)) {
      throw new OutputMissing(
        `'${remote.name}' says that it has built '${showPath(store, output)}', but does not have it`,
      );
    }
  }
  store.tempRoots.add(outputs.map((path) => showPath(store, path)));
  const wanted = [...infos.values()].filter(({ path }) => !isValidPath(store, path));
  const placed: PathInfo[] = [];
  try {
    for await (const { info, show } of remote.download(sortInfos(store.storeDir, wanted))) {
      const narHash = info.narHash;
      if (narHash === undefined)
        throw new OutputMissing(`'${remote.name}' does not tell the hash of '${showPath(store, info.path)}'`);
      const receiver = openInfoReceiver(store, { ...info, narHash }, (tree) => {
        moveToInvalid(store, tree, info.path);
        if (store.settings.get("auto-optimise-store")) optimiseTree(store, info.path);
        const registrationTimeSec = Math.floor(Date.now() / 1000);
        placed.push({ ...info, narHash: tree.hash, narSize: tree.size, registrationTimeSec, ultimate: false });
      });
      try {
        await show(receiver.visitor);
        receiver.finish();
      } finally {
        receiver.abandon();
      }
    }
    registerValidPaths(store, placed);
  } catch (error) {
    for (const { path } of placed) removeInvalid(store, path);
    throw error;
  }
}
