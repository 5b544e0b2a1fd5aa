/**
 * The signatures of Nix 1, in export streams and in the `Signature` line of a narinfo: RSA as `openssl rsautl -sign` makes
 * it. PKCS #1 v1.5 padding around the text itself, not around a DigestInfo. What is signed is the SHA-256 of the data, as
 * 64 characters of hexadecimal. Keys are PEM files.
 */
import type { KeyObject } from "node:crypto";
import { SiloError } from "../error.ts";
import { nodeCrypto } from "../node-crypto.ts";
import { type Hash, printBareHash } from "./hash.ts";

export class BadRsaKey extends SiloError {
  readonly code = "bad-rsa-key";
  /** @param file where the key was found, for who reads it from one */
  constructor(
    readonly kind: "public" | "secret",
    readonly reason: string,
    readonly file?: string,
    options?: ErrorOptions,
  ) {
    super(`Cannot use ${kind} RSA key${file === undefined ? "" : ` '${file}'`}: ${reason}`, options);
  }
}

/** Makes raw signatures of hashes, as many bytes as the key's modulus. @throws BadRsaKey, at once and not when it signs */
export function rsaSigner(secretKeyPem: string, file?: string): (hash: Hash) => Uint8Array {
  const { constants, createPrivateKey, privateEncrypt } = nodeCrypto();
  const key = parseKey("secret", file, () => createPrivateKey(secretKeyPem));
  if (key.asymmetricKeyDetails!.modulusLength! < minModulusBits) {
    throw new BadRsaKey("secret", "it is too short for the hash", file);
  }
  return (hash) => new Uint8Array(privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signedText(hash)));
}

/** Tells whether a signature is one of the hash, made with the secret half of the key. @throws BadRsaKey, at once */
export function rsaVerifier(publicKeyPem: string, file?: string): (hash: Hash, signature: Uint8Array) => boolean {
  const { constants, createPublicKey, publicDecrypt } = nodeCrypto();
  const key = parseKey("public", file, () => createPublicKey(publicKeyPem));
  return (hash, signature) => {
    try {
      return publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, Buffer.from(signature)).equals(
        signedText(hash),
      );
    } catch {
      return false; // a signature of another size, or of another key: what it decrypts to is not padded
    }
  };
}

/** 64 characters, and the 11 bytes that the padding takes at least. */
const minModulusBits = 8 * (64 + 11);

function signedText(hash: Hash): Buffer {
  return Buffer.from(printBareHash(hash, "base16"), "latin1");
}

function parseKey(kind: "public" | "secret", file: string | undefined, parse: () => KeyObject): KeyObject {
  let key: KeyObject;
  try {
    key = parse();
  } catch (cause) {
    throw new BadRsaKey(kind, "it is not in PEM format", file, { cause });
  }
  if (key.asymmetricKeyType !== "rsa") throw new BadRsaKey(kind, `it is of type ${key.asymmetricKeyType}`, file);
  return key;
}
