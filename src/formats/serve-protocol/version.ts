/**
 * Versions of the serve protocol (`nix-store --serve`): `major << 8 | minor`, as 2.7 is 0x207. How a connection begins; `C` is the client,
 * `S` the server:
 *
 *     C  u64 0x390c9deb, u64 version      today's clients send both at once, 1.7's waits for the server between them
 *     S  u64 0x5452eecb, u64 version
 *
 * Both sides use the lesser minor version. Nix 1.7 speaks 1.1, which has other commands (queries.ts); 1.8 2.0, 1.11 2.2, 2.0 2.4, 2.1 2.5, 2.4 to
 * 2.34 2.7, 2.35 2.8. The server of 1.7 sends its version and ignores the client's; today's looks at the client's. See
 * serve-protocol.hh.
 *
 * Whoever drives these codecs sends what they hand to `send` before answering the next want.
 */
import { SiloError } from "../../error.ts";
import type { Codec } from "../codec.ts";
import { readNumber, readU64, WireWriter } from "../wire.ts";

const clientMagic = 0x390c9deb;
const serverMagic = 0x5452eecb;

/** The newest version that is spoken here. */
export const newestVersion = 0x208;
/** That of Nix 1.7. */
export const oldVersion = 0x101;

/** What both sides speak: that of Nix 1.7, or 2.x with this minor version. */
export type ServeVersion = { readonly kind: "1.1" } | { readonly kind: "2"; readonly minor: number };

export class BadServeMagic extends SiloError {
  readonly code = "bad-serve-magic";
  constructor(
    readonly peer: "client" | "server",
    readonly magic: bigint,
  ) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(magic);
    // A shell that greets its users, say: quoting the beginning tells what is in the way.
    const shown = JSON.stringify(bytes.toString("latin1").replace(/[^\x20-\x7e\n]/g, "."));
    super(`Cannot speak with the ${peer}: it does not speak Nix's serve protocol, it began with ${shown}`);
  }
}

export class BadServeVersion extends SiloError {
  readonly code = "bad-serve-version";
  constructor(
    readonly peer: "client" | "server",
    readonly version: number,
  ) {
    super(`Cannot speak with the ${peer}: it has version ${version >>> 8}.${version & 0xff} of the serve protocol`);
  }
}

type Send = (bytes: Uint8Array) => void;

/** The server's side. @throws BadServeMagic, BadServeVersion */
export function* greetServeClient(send: Send): Codec<ServeVersion> {
  const magic = yield* readU64();
  if (magic !== BigInt(clientMagic)) throw new BadServeMagic("client", magic);
  send(new WireWriter().u64(serverMagic).u64(newestVersion).take());
  return agree("client", yield* readNumber("version of the client", 0xffff_ffff));
}

/** What a client sends at once. */
export function encodeClientGreeting(): Uint8Array {
  return new WireWriter().u64(clientMagic).u64(newestVersion).take();
}

/** What a client of Nix 1.7 sends. */
export function encodeOldClientGreeting(): Uint8Array {
  return new WireWriter().u64(clientMagic).u64(oldVersion).take();
}

/** The client's side, after its greeting has been sent. @throws BadServeMagic, BadServeVersion */
export function* readServerGreeting(): Codec<ServeVersion> {
  const magic = yield* readU64();
  if (magic !== BigInt(serverMagic)) throw new BadServeMagic("server", magic);
  return agree("server", yield* readNumber("version of the server", 0xffff_ffff));
}

function agree(peer: "client" | "server", version: number): ServeVersion {
  const major = (version >>> 8) & 0xff;
  if (major === 1) return { kind: "1.1" };
  if (major !== 2) throw new BadServeVersion(peer, version);
  return { kind: "2", minor: Math.min(version & 0xff, newestVersion & 0xff) };
}
