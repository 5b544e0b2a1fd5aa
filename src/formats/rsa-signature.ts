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
  constructor(
    readonly kind: "public" | "secret",
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`Cannot use ${kind} RSA key: ${reason}`, options);
  }
}

/** The raw signature, as many bytes as the key's modulus. @throws BadRsaKey */
export function signHash(hash: Hash, secretKeyPem: string): Uint8Array {
  const { constants, createPrivateKey, privateEncrypt } = nodeCrypto();
  const key = parseKey("secret", () => createPrivateKey(secretKeyPem));
  const text = Buffer.from(printBareHash(hash, "base16"), "latin1");
  try {
    return new Uint8Array(privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, text));
  } catch (cause) {
    throw new BadRsaKey("secret", "it is too short for the hash", { cause });
  }
}

/** Is `signature` one of the hash, made with the secret half of the key? @throws BadRsaKey */
export function verifyHash(hash: Hash, signature: Uint8Array, publicKeyPem: string): boolean {
  const { constants, createPublicKey, publicDecrypt } = nodeCrypto();
  const key = parseKey("public", () => createPublicKey(publicKeyPem));
  try {
    const text = publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, Buffer.from(signature));
    return text.toString("latin1") === printBareHash(hash, "base16");
  } catch {
    return false; // a signature of another size, or of another key: what it decrypts to is not padded
  }
}

function parseKey(kind: "public" | "secret", parse: () => KeyObject): KeyObject {
  let key: KeyObject;
  try {
    key = parse();
  } catch (cause) {
    throw new BadRsaKey(kind, "it is not in PEM format", { cause });
  }
  if (key.asymmetricKeyType !== "rsa") throw new BadRsaKey(kind, `it is of type ${key.asymmetricKeyType}`);
  return key;
}
