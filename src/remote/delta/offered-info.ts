/** Path infos in the form in which they are offered. */
import { parseOptionalContentAddress, printContentAddress } from "../../formats/content-address.ts";
import { parseHash, printHash } from "../../formats/hash.ts";
import { parseStorePath } from "../../formats/store-path.ts";
import type { PathInfo } from "../../store/path-info.ts";
import type { OfferedInfo } from "./extension.ts";

export function printOffered(info: PathInfo & { readonly narSize: number }): OfferedInfo {
  return {
    path: info.path,
    narHash: printHash(info.narHash, "base16"),
    narSize: info.narSize,
    references: info.references,
    deriver: info.deriver ?? "",
    registrationTimeSec: info.registrationTimeSec,
    signatures: info.signatures,
    contentAddress: info.contentAddress === undefined ? "" : printContentAddress(info.contentAddress),
  };
}

/** @throws BadStorePath, BadHash, BadContentAddress */
export function parseOffered(info: OfferedInfo): PathInfo {
  return {
    path: parseStorePath(info.path),
    narHash: parseHash(info.narHash, "sha256"),
    narSize: info.narSize,
    references: info.references.map(parseStorePath),
    deriver: info.deriver === "" ? undefined : parseStorePath(info.deriver),
    registrationTimeSec: info.registrationTimeSec,
    ultimate: false,
    signatures: info.signatures,
    contentAddress: parseOptionalContentAddress(info.contentAddress),
  };
}
