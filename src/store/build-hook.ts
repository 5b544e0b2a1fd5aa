/** Building elsewhere: the hook that the scheduler asks before it takes a slot of its own. */
import type { Derivation } from "../formats/derivation/derivation.ts";
import type { StorePath } from "../formats/store-path.ts";

export interface HookRequest {
  readonly drvPath: StorePath;
  readonly derivation: Derivation;
  /** Does the derivation's system, and do its features, allow a local slot, and is one free? */
  readonly localSlot: "free" | "busy" | "impossible";
  /** The closure of the inputs. */
  readonly inputs: readonly StorePath[];
  /** Outputs that are wanted and not valid. */
  readonly outputs: readonly StorePath[];
}

export type HookFailure = "permanent" | "timed-out" | "misc";

export type HookReply =
  /** Not a build for any machine: build here. */
  | { readonly kind: "decline" }
  /** All machines are busy: ask again later. */
  | { readonly kind: "postpone" }
  | {
      readonly kind: "accept";
      readonly machine: string;
      /** Builds, and brings the outputs into the store, registered. Rejects with a {@link SiloError}. */
      run(
        onLog: (bytes: Uint8Array) => void,
        signal: AbortSignal,
      ): Promise<{ kind: "built" } | { kind: HookFailure; reason: string }>;
    };

export interface BuildHook {
  ask(request: HookRequest): Promise<HookReply>;
  close(): void;
}
