/**
 * The RSA keys of Nix 1, with which `--export --sign` and `--import --require-signature` work: `signing-key.sec` and
 * `signing-key.pub` in the configuration directory, in PEM form.
 */
import { SiloError } from "../../error.ts";
import { type Hash, parseBareHash } from "../../formats/hash.ts";
import { rsaSigner, rsaVerifier } from "../../formats/rsa-signature.ts";
import type { ItemSigner } from "../../store/export.ts";
import type { ItemVerifier } from "../../store/import.ts";
import { O_RDONLY, open, readSmallFile, withDescriptor } from "../../sys/descriptor.ts";
import { fstat } from "../../sys/stat.ts";

export class KeyNotSecret extends SiloError {
  readonly code = "key-not-secret";
  constructor(readonly file: string) {
    super(`file '${file}' should be secret (inaccessible to everybody else)!`);
  }
}

/** No PEM file comes near. Bytes. */
const maxKeySize = 64 * 1024;

/** @throws SystemError, KeyNotSecret, BadRsaKey */
export function itemSigner(confDir: string): ItemSigner {
  const file = `${confDir}/signing-key.sec`;
  const { mode } = withDescriptor(open(file, O_RDONLY), fstat);
  if (mode & 0o077) throw new KeyNotSecret(file);
  const sign = rsaSigner(readSmallFile(file, maxKeySize).toString("latin1"), file);
  return (hexDigest) => sign(sha256(hexDigest));
}

/** @throws SystemError, BadRsaKey */
export function itemVerifier(confDir: string): ItemVerifier {
  const file = `${confDir}/signing-key.pub`;
  const verify = rsaVerifier(readSmallFile(file, maxKeySize).toString("latin1"), file);
  return (signature, hexDigest) => verify(sha256(hexDigest), signature);
}

function sha256(hexDigest: string): Hash {
  return parseBareHash(hexDigest, "sha256");
}
