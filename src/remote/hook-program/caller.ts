/** A Nix that has started us as its build hook: it asks in its own way, and wants replies in its own way. */
import type { ByteString } from "../../formats/byte-string.ts";
import type { StorePath } from "../../formats/store-path.ts";

export interface HookCaller {
  /** Undefined when it asks no more. */
  nextRequest(): CallerRequest | undefined;
  decline(): void;
  /** There are no machines: it need not ask again. */
  declineForGood(): void;
  postpone(): void;
  /** The build is ours: what it needs. @param uri the machine */
  accept(uri: string, request: CallerRequest): AcceptedBuild;
  /** What the builder prints. */
  writeLog(bytes: Uint8Array): void;
  /** For people. */
  say(line: string): void;
}

export interface CallerRequest {
  /** A slot is free where it runs. */
  readonly amWilling: boolean;
  readonly system: ByteString;
  readonly drvPath: StorePath;
  readonly features: readonly ByteString[];
}

export interface AcceptedBuild {
  /** The closure of the inputs; with Nix 1.7 that of the derivation, too. */
  readonly inputs: readonly StorePath[];
  /** Names of wanted outputs, or their paths. */
  readonly outputs: { readonly names: ReadonlySet<string> } | { readonly paths: ReadonlySet<StorePath> };
}

/** Where what the builder prints goes. */
export const logFd = 4;
/** Replies and messages. */
export const replyFd = 2;
