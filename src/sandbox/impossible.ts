/** The failure that `sandbox-fallback` is about: this kernel, or who runs us on it, allows no sandbox. */
import { SiloError } from "../error.ts";
import type { CallFailure, PlannedCall } from "../sys/planned-calls.ts";
import { isSystemError, SystemError } from "../sys/system-error.ts";

export class SandboxImpossible extends SiloError {
  readonly code = "sandbox-impossible";
  constructor(readonly reason: string) {
    super(`Cannot set up a sandbox: ${reason}`);
  }
}

/** What kernels, containers and security modules answer who forbid namespaces or mounts. */
const refusals = ["EPERM", "EACCES", "EINVAL", "ENOSYS", "ENOSPC"];

/** Passes a refusal of the kernel on as {@link SandboxImpossible}. */
export function orImpossible<T>(setUp: () => T): T {
  try {
    return setUp();
  } catch (error) {
    if (isSystemError(error, ...refusals)) throw new SandboxImpossible(error.message);
    throw error;
  }
}

/** A call of setting up a build. `forbidden`: when the kernel refuses it, it would refuse it for any sandbox. */
export interface SetupCall extends PlannedCall {
  readonly refusal?: "forbidden";
}

export function mayBeForbidden(call: PlannedCall): SetupCall {
  return { ...call, refusal: "forbidden" };
}

/** Why a build could not be set up. */
export function setupError(
  calls: readonly SetupCall[],
  { index, errno }: CallFailure,
): SystemError | SandboxImpossible {
  const call = calls[index];
  const error = new SystemError(call?.action ?? "setting up the build", errno);
  const impossible = call?.refusal === "forbidden" && isSystemError(error, ...refusals);
  return impossible ? new SandboxImpossible(error.message) : error;
}
