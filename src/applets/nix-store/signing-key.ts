/**
 * The RSA keys of Nix 1, with which `--export --sign` and `--import --require-signature` work: `signing-key.sec` and
 * `signing-key.pub` in the configuration directory, in PEM form.
 */
import { SiloError } from "../../error.ts";
import { type Hash, parseBareHash } from "../../formats/hash.ts";
import { signHash, verifyHash } from "../../formats/rsa-signature.ts";
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

/** @throws SystemError, KeyNotSecret; what it returns throws BadRsaKey */
export function itemSigner(confDir: string): ItemSigner {
  const file = `${confDir}/signing-key.sec`;
  const { mode } = withDescriptor(open(file, O_RDONLY), fstat);
  if (mode & 0o077) throw new KeyNotSecret(file);
  const pem = readSmallFile(file, maxKeySize).toString("latin1");
  return (hexDigest) => signHash(sha256(hexDigest), pem);
}

/** @throws SystemError; what it returns throws BadRsaKey */
export function itemVerifier(confDir: string): ItemVerifier {
  const pem = readSmallFile(`${confDir}/signing-key.pub`, maxKeySize).toString("latin1");
  return (signature, hexDigest) => verifyHash(sha256(hexDigest), signature, pem);
}

function sha256(hexDigest: string): Hash {
  return parseBareHash(hexDigest, "sha256");
}
