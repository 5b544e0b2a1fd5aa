/**
 * Signatures of binary caches and path infos: Ed25519 over a fingerprint of the path info.
 *
 *     fingerprint = 1;<full path>;sha256:<narHash, base32>;<narSize>;<full references, sorted, comma between>
 *     signature   = <key name>:<base64 of 64 bytes>
 *     public key  = <key name>:<base64 of 32 bytes>
 *     secret key  = <key name>:<base64 of 64 bytes: the seed, then the public key>
 *
 * A key name is what precedes the first colon. Key files hold one line, which Nix writes without a line feed. Deriver
 * and content address are not covered. See the Nix manual, "Serving a Nix store via HTTP" and `trusted-public-keys`.
 */
import type { KeyObject } from "node:crypto";
import { SiloError } from "../error.ts";
import { compareBytes } from "./byte-string.ts";
import { type Hash, printHash } from "./hash.ts";
import { nodeCrypto } from "../node-crypto.ts";
import { printStorePath, type StoreDir, type StorePath } from "./store-path.ts";

export interface PublicKey {
  readonly name: string;
  /** 32 bytes. */
  readonly bytes: Uint8Array;
  readonly key: KeyObject;
}

export interface SecretKey {
  readonly name: string;
  /** 64 bytes: the seed, then the public key. */
  readonly bytes: Uint8Array;
  readonly key: KeyObject;
}

/** The text of a key is not quoted: it may be secret. */
export class BadKey extends SiloError {
  readonly code = "bad-key";
  constructor(
    readonly kind: "public" | "secret",
    readonly reason: string,
  ) {
    super(`Cannot parse ${kind} key: ${reason}`);
  }
}

export class CannotSign extends SiloError {
  readonly code = "cannot-sign";
  constructor(
    readonly path: StorePath,
    readonly reason: string,
  ) {
    super(`Cannot sign '${path}': ${reason}`);
  }
}

const seedSize = 32;
const publicSize = 32;
const signatureSize = 64;
/** The DER of PKCS #8 and SubjectPublicKeyInfo (RFC 8410) in front of the seed and of the public key. */
const seedPrefix = Buffer.from("302e020100300506032b657004220420", "hex");
const publicPrefix = Buffer.from("302a300506032b6570032100", "hex");

/** What a signature covers. */
export interface SignedInfo {
  readonly path: StorePath;
  readonly narHash: Hash;
  /** In bytes. */
  readonly narSize: number;
  readonly references: Iterable<StorePath>;
}

/** @throws CannotSign when the size is unknown (0) or the hash is not SHA-256 */
export function printFingerprint(dir: StoreDir, info: SignedInfo): string {
  if (info.narSize === 0) throw new CannotSign(info.path, "the size of its NAR is not known");
  if (info.narHash.algo !== "sha256") throw new CannotSign(info.path, "the hash of its NAR is not SHA-256");
  const references = [...new Set(info.references)]
    .sort(compareBytes)
    .map((reference) => printStorePath(dir, reference));
  const path = printStorePath(dir, info.path);
  return `1;${path};${printHash(info.narHash, "base32")};${info.narSize};${references.join(",")}`;
}

/** `<name>:<base64>` of a fingerprint or other ASCII text. */
export function signText(text: string, key: SecretKey): string {
  return `${key.name}:${nodeCrypto().sign(null, Buffer.from(text, "latin1"), key.key).toString("base64")}`;
}

/**
 * Does one of `signatures` hold for the text, made by a key that `trusted` has under the name it gives? Malformed ones and
 * those of unknown keys do not count. Returns the name of the key.
 */
export function verifyText(
  text: string,
  signatures: Iterable<string>,
  trusted: ReadonlyMap<string, PublicKey>,
): string | undefined {
  for (const signature of signatures) {
    const parts = parseNamed(signature, signatureSize);
    const key = typeof parts === "string" ? undefined : trusted.get(parts.name);
    if (key === undefined || typeof parts === "string") continue;
    if (nodeCrypto().verify(null, Buffer.from(text, "latin1"), key.key, parts.bytes)) return key.name;
  }
  return undefined;
}

/** @throws BadKey when the name is empty or has a colon, white space or a control character */
export function generateKey(name: string): SecretKey {
  const fault = nameFault(name);
  if (fault !== undefined) throw new BadKey("secret", fault);
  const { privateKey } = nodeCrypto().generateKeyPairSync("ed25519");
  const seed = privateKey.export({ format: "der", type: "pkcs8" }).subarray(seedPrefix.length);
  return { name, bytes: Buffer.concat([seed, exportPublic(privateKey)]), key: privateKey };
}

/** The public half. */
export function publicKeyOf(secret: SecretKey): PublicKey {
  return makePublicKey(secret.name, secret.bytes.subarray(seedSize));
}

/** White space around the text is ignored. @throws BadKey */
export function parseSecretKey(text: string): SecretKey {
  const parts = parseNamed(text.trim(), seedSize + publicSize);
  if (typeof parts === "string") throw new BadKey("secret", parts);
  const { name, bytes } = parts;
  const der = Buffer.concat([seedPrefix, bytes.subarray(0, seedSize)]);
  const key = nodeCrypto().createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  // A signature made with a public half that is not its own gives the secret away.
  if (!exportPublic(key).equals(bytes.subarray(seedSize)))
    throw new BadKey("secret", "its two halves do not belong together");
  return { name, bytes, key };
}

/** White space around the text is ignored. @throws BadKey */
export function parsePublicKey(text: string): PublicKey {
  const parts = parseNamed(text.trim(), publicSize);
  if (typeof parts === "string") throw new BadKey("public", parts);
  return makePublicKey(parts.name, parts.bytes);
}

/** `<name>:<base64>`, without a line feed. */
export function printKey(key: SecretKey | PublicKey): string {
  return `${key.name}:${Buffer.from(key.bytes).toString("base64")}`;
}

/** Keys by name. The first of a name counts. */
export function trustKeys(keys: Iterable<PublicKey>): ReadonlyMap<string, PublicKey> {
  const byName = new Map<string, PublicKey>();
  for (const key of keys) if (!byName.has(key.name)) byName.set(key.name, key);
  return byName;
}

function makePublicKey(name: string, bytes: Uint8Array): PublicKey {
  const key = nodeCrypto().createPublicKey({ key: Buffer.concat([publicPrefix, bytes]), format: "der", type: "spki" });
  return { name, bytes, key };
}

function exportPublic(privateKey: KeyObject): Buffer {
  return nodeCrypto().createPublicKey(privateKey).export({ format: "der", type: "spki" }).subarray(publicPrefix.length);
}

/** The name and the `size` bytes of `<name>:<base64>`, or what is wrong with it. */
function parseNamed(text: string, size: number): { name: string; bytes: Buffer } | string {
  const colon = text.indexOf(":");
  if (colon < 0) return "it has no colon after the name";
  const name = text.slice(0, colon);
  const fault = nameFault(name);
  if (fault !== undefined) return fault;
  const base64 = text.slice(colon + 1);
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return "what follows the name is not base-64";
  const bytes = Buffer.from(base64, "base64");
  if (bytes.length !== size) return `${bytes.length} bytes follow the name, it should be ${size}`;
  return { name, bytes };
}

function nameFault(name: string): string | undefined {
  if (name === "") return "its name is empty";
  if (/[\s:\x00-\x1f\x7f]/.test(name)) return "its name has a colon, white space or a control character";
  return undefined;
}
