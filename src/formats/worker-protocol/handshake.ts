/**
 * How a connection begins. `C` is the client, `S` the server:
 *
 *     C  u64 0x6e697863
 *     S  u64 0x6478696f, u64 version
 *     C  u64 version
 *     C  list of features         1.38
 *     S  list of features         1.38
 *     C  u64 0 | u64 1, u64 CPU   1.14, obsolete
 *     C  u64 reserve space        1.11, obsolete
 *     S  string version of Nix    1.33
 *     S  u64 trust                1.35: 0 not told, 1 trusted, 2 not
 *     S  the loop of messages.ts, since opening the store may fail
 *
 * Whoever drives these codecs sends what they hand to `send` before answering the next want.
 */
import { SiloError } from "../../error.ts";
import { type ByteString, toText } from "../byte-string.ts";
import type { Codec } from "../codec.ts";
import { readNumber, readString, readStrings, readU64, WireWriter } from "../wire.ts";
import { knownFeatures, minorOf, newestMinor, wireVersion } from "./version.ts";

export const clientMagic = 0x6e697863;
export const serverMagic = 0x6478696f;

export class BadMagic extends SiloError {
  readonly code = "bad-magic";
  constructor(
    readonly peer: string,
    readonly magic: bigint,
  ) {
    super(`Cannot speak with the ${peer}: it does not speak Nix's worker protocol (it sent 0x${magic.toString(16)})`);
  }
}

/** What both sides know of each other in the end. */
export interface Agreement {
  readonly minor: number;
  readonly features: ReadonlySet<string>;
}

export interface ServerOffer {
  readonly minor: number;
  readonly features: readonly string[];
  /** The version of Nix that it is compatible with, such as `2.18.0`. */
  readonly nixVersion: string;
  readonly trust: PeerTrust;
}

/** Whether the server trusts its client; `unknown` where it does not say. */
export type PeerTrust = "unknown" | "trusted" | "not-trusted";
const trusts: readonly PeerTrust[] = ["unknown", "trusted", "not-trusted"];

type Send = (bytes: Uint8Array) => void;

const featureLimits = { maxCount: 1000, maxBytes: 1000 };

/** The first half, after which both know which version they speak. @throws BadMagic, BadVersion */
export function* greetClient(offer: ServerOffer, send: Send): Codec<Agreement> {
  const magic = yield* readU64();
  if (magic !== BigInt(clientMagic)) throw new BadMagic("client", magic);
  send(new WireWriter().u64(serverMagic).u64(wireVersion(offer.minor)).take());
  const minor = Math.min(offer.minor, minorOf("client", yield* readNumber("protocol version", 0xffff_ffff)));
  let features: ReadonlySet<string> = new Set();
  if (minor >= 38) {
    const theirs = new Set<string>(yield* readStrings("features of the client", featureLimits));
    features = new Set(offer.features.filter((feature) => theirs.has(feature)));
    send(new WireWriter().strings(offer.features).take());
  }
  return { minor, features };
}

/** The second half. */
export function* finishGreeting(offer: ServerOffer, { minor }: Agreement, send: Send): Codec<void> {
  if (minor >= 14 && (yield* readU64()) !== 0n) yield* readU64();
  if (minor >= 11) yield* readU64();
  const writer = new WireWriter();
  if (minor >= 33) writer.string(offer.nixVersion);
  if (minor >= 35) writer.u64(trusts.indexOf(offer.trust));
  if (minor >= 33) send(writer.take());
}

export interface ServerHello extends Agreement {
  /** Since 1.33. */
  readonly nixVersion: string | undefined;
  readonly trust: PeerTrust;
}

/** The client's side, up to the loop of messages. @throws BadMagic, BadVersion */
export function* greetServer(send: Send, offeredMinor: number = newestMinor): Codec<ServerHello> {
  send(new WireWriter().u64(clientMagic).take());
  const magic = yield* readU64();
  if (magic !== BigInt(serverMagic)) throw new BadMagic("daemon", magic);
  const minor = Math.min(offeredMinor, minorOf("daemon", yield* readNumber("protocol version", 0xffff_ffff)));
  const writer = new WireWriter().u64(wireVersion(offeredMinor));
  let features: ReadonlySet<string> = new Set();
  if (minor >= 38) {
    send(writer.strings(knownFeatures).take());
    const theirs = new Set<string>(yield* readStrings("features of the daemon", featureLimits));
    features = new Set(knownFeatures.filter((feature) => theirs.has(feature)));
  }
  if (minor >= 14) writer.u64(0);
  if (minor >= 11) writer.u64(0);
  send(writer.take());
  const nixVersion: ByteString | undefined = minor >= 33 ? yield* readString("version of the daemon", 1000) : undefined;
  const trust = minor >= 35 ? (trusts[yield* readNumber("trust of the daemon", 0xffff_ffff)] ?? "unknown") : "unknown";
  return { minor, features, trust, nixVersion: nixVersion === undefined ? undefined : toText(nixVersion) };
}
