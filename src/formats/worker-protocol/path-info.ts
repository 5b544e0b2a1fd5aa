/**
 * What is known of a store path, as it travels:
 *
 *     unkeyed = deriver or "", string narHash (base16, no algorithm), set references, u64 registrationTime, u64 narSize,
 *               bool ultimate, set signatures, string content address or ""      (these since 1.16)
 *     keyed   = path, unkeyed
 */
import { SiloError } from "../../error.ts";
import { compareBytes } from "../byte-string.ts";
import { type ContentAddress, parseOptionalContentAddress, printContentAddress } from "../content-address.ts";
import { type Hash, parseBareHash, printBareHash } from "../hash.ts";
import type { StorePath } from "../store-path.ts";
import {
  bool,
  converted,
  optionalStorePath,
  record,
  set,
  since,
  size,
  storePath,
  storePaths,
  string,
} from "./wire-type.ts";
import type { WireType } from "./wire-type.ts";

/** The same as the store's own record, which it can be used for. */
export interface WirePathInfo {
  readonly path: StorePath;
  /** SHA-256 of the NAR. */
  readonly narHash: Hash;
  /** Bytes; undefined, on the wire 0, when not known. */
  readonly narSize: number | undefined;
  /** Ascending. */
  readonly references: readonly StorePath[];
  readonly deriver: StorePath | undefined;
  readonly registrationTimeSec: number;
  readonly ultimate: boolean;
  readonly signatures: readonly string[];
  readonly contentAddress: ContentAddress | undefined;
}

export type UnkeyedPathInfo = Omit<WirePathInfo, "path">;

const narHash: WireType<Hash> = converted(
  string,
  (text) => parseBareHash(text, "sha256"),
  (hash) => printBareHash(hash, "base16") as typeof string extends WireType<infer T> ? T : never,
);

const narSize: WireType<number | undefined> = converted(
  size,
  (bytes) => (bytes === 0 ? undefined : bytes),
  (bytes) => bytes ?? 0,
);

const signatures: WireType<readonly string[]> = set(string as WireType<string>);

/** A content address that is not known here (of git trees, say) is dropped: the path is then taken as if it had none. */
const contentAddress: WireType<ContentAddress | undefined> = converted(
  string as WireType<string>,
  (text) => {
    try {
      return parseOptionalContentAddress(text);
    } catch (error) {
      if (error instanceof SiloError && text.startsWith("fixed:git:")) return undefined;
      throw error;
    }
  },
  (address) => (address === undefined ? "" : printContentAddress(address)),
);

const references: WireType<readonly StorePath[]> = converted(
  storePaths,
  (paths) => [...new Set(paths)].sort(compareBytes),
  (paths) => paths,
);

/** As of 1.16, whatever the version: AddToStoreNar has it so. */
export const fullUnkeyedPathInfo = record<UnkeyedPathInfo>({
  deriver: optionalStorePath,
  narHash,
  references,
  registrationTimeSec: size,
  narSize,
  ultimate: bool,
  signatures,
  contentAddress,
});

const noSignatures: readonly string[] = [];

export const unkeyedPathInfo = record<UnkeyedPathInfo>({
  deriver: optionalStorePath,
  narHash,
  references,
  registrationTimeSec: size,
  narSize,
  ultimate: since(16, bool, false),
  signatures: since(16, signatures, noSignatures),
  contentAddress: since<ContentAddress | undefined>(16, contentAddress, undefined),
});

/** As AddMultipleToStore has it. */
export const fullPathInfo: WireType<WirePathInfo> = keyed(fullUnkeyedPathInfo);
export const pathInfo: WireType<WirePathInfo> = keyed(unkeyedPathInfo);

function keyed(unkeyed: WireType<UnkeyedPathInfo>): WireType<WirePathInfo> {
  return {
    *read(context, what) {
      const path = yield* storePath.read(context, `path of ${what}`);
      return { path, ...(yield* unkeyed.read(context, what)) };
    },
    write(writer, info, context) {
      storePath.write(writer, info.path, context);
      unkeyed.write(writer, info, context);
    },
  };
}
