/**
 * What silo and silo say to each other behind the greeting of the serve protocol, so that no path travels whose files the other side has under other
 * paths. Nix never sees it: a client asks whether the marker, a store path that no store has, is valid, together with the paths that it asks for anyway;
 * a silo that speaks this version says yes.
 *
 *     request = u64 0x6f6c6973, message      reply = message or data      message = bytes (wire.ts) of CBOR
 *
 *     similar   which of these paths would be worth a comparison              reply: similar
 *     offer     here is what a path consists of, which files do you lack      reply: lacking
 *     contents  the files that you lacked of the path offered, as data         reply: placed
 *     tree      what does the path consist of                                 reply: tree
 *     files     send these files of it                                        reply: data
 *
 * Data are contents of files, one behind the other: their sizes are known from the tree.
 */
import { Decoder, Encoder } from "cbor-x/index-no-eval";
import { SiloError } from "../../error.ts";
import type { Codec } from "../../formats/codec.ts";
import { parseStorePath, type StorePath } from "../../formats/store-path.ts";
import { readBytes, WireWriter } from "../../formats/wire.ts";

/** The number of every request, "silo" in its first four bytes. */
export const extensionCode = 0x6f6c6973;

/** Base 32 of "silo serve extension 1" hashed: nothing that anybody builds. */
export const extensionMarker: StorePath = parseStorePath("z8ka51c9xbbnhnl3dw6ac7zcwwkb8hs7-silo-serve-extension-1");
export const extensionMarkers: readonly StorePath[] = [extensionMarker];

/** Paths with fewer bytes than this are sent as they are. */
export const minComparedSize = 64 * 1024;

/** What a tree consists of, in the order of its NAR, as columns: one entry a node, and one where a directory ends. */
export interface TreeColumns {
  /** One of {@link nodeKinds} for each node. */
  readonly kinds: Uint8Array;
  /** Of every node but the ends of directories; byte strings. */
  readonly names: readonly string[];
  /** Of every symbolic link; byte strings. */
  readonly targets: readonly string[];
  /** Of every file, in bytes. */
  readonly sizes: readonly number[];
  /** Of every file, 32 bytes: the sha256 of the NAR that has only this file, which names it in `.links`. */
  readonly hashes: Uint8Array;
}

export const nodeKinds = { directory: 0, end: 1, regular: 2, executable: 3, symlink: 4 } as const;

/** A path info with texts in Nix's forms. */
export interface OfferedInfo {
  readonly path: string;
  readonly narHash: string;
  readonly narSize: number;
  readonly references: readonly string[];
  readonly deriver: string;
  readonly registrationTimeSec: number;
  readonly signatures: readonly string[];
  readonly contentAddress: string;
}

export type ExtensionRequest =
  | { readonly kind: "similar"; readonly paths: readonly string[] }
  | { readonly kind: "offer"; readonly info: OfferedInfo; readonly tree: TreeColumns }
  | { readonly kind: "contents"; readonly path: string }
  | { readonly kind: "tree"; readonly path: string }
  /** A bit for each file of the tree, the lowest of the first byte for the first. */
  | { readonly kind: "files"; readonly path: string; readonly wanted: Uint8Array };

export type ExtensionReply =
  | { readonly kind: "similar"; readonly paths: readonly string[] }
  | { readonly kind: "lacking"; readonly wanted: Uint8Array }
  /** `refused`: not what was expected (its NAR hash differs, or a file has gone): send it as a whole. */
  | { readonly kind: "placed"; readonly result: "valid" | "refused" }
  | { readonly kind: "tree"; readonly tree: TreeColumns };

export class BadExtension extends SiloError {
  readonly code = "bad-extension";
  constructor(readonly reason: string) {
    super(`Cannot understand the other silo: ${reason}`);
  }
}

/** Bytes of a message at most: the tree of a path with some million files. */
const maxMessageBytes = 512 * 1024 * 1024;

const encoder = new Encoder({ useRecords: false, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false, mapsAsObjects: true });

export function encodeRequest(request: ExtensionRequest): Uint8Array {
  return new WireWriter().u64(extensionCode).bytes(encoder.encode(request)).take();
}

export function encodeReply(reply: ExtensionReply): Uint8Array {
  return new WireWriter().bytes(encoder.encode(reply)).take();
}

/** @throws BadExtension */
export function* readRequest(): Codec<ExtensionRequest> {
  const value = yield* readMessage();
  switch (value["kind"]) {
    case "similar":
      return { kind: "similar", paths: strings(value, "paths") };
    case "offer":
      return { kind: "offer", info: offeredInfo(object(value["info"])), tree: treeColumns(object(value["tree"])) };
    case "contents":
      return { kind: "contents", path: string(value, "path") };
    case "tree":
      return { kind: "tree", path: string(value, "path") };
    case "files":
      return { kind: "files", path: string(value, "path"), wanted: bytes(value, "wanted") };
    default:
      throw new BadExtension("a request of no known kind");
  }
}

/** @throws BadExtension */
export function* readReply<K extends ExtensionReply["kind"]>(kind: K): Codec<Extract<ExtensionReply, { kind: K }>> {
  const value = yield* readMessage();
  if (value["kind"] !== kind) throw new BadExtension(`expected the reply "${kind}"`);
  return parseReply(kind, value) as Extract<ExtensionReply, { kind: K }>;
}

function parseReply(kind: ExtensionReply["kind"], value: Fields): ExtensionReply {
  switch (kind) {
    case "similar":
      return { kind, paths: strings(value, "paths") };
    case "lacking":
      return { kind, wanted: bytes(value, "wanted") };
    case "placed":
      return { kind, result: value["result"] === "valid" ? "valid" : "refused" };
    case "tree":
      return { kind, tree: treeColumns(object(value["tree"])) };
  }
}

type Fields = Readonly<Record<string, unknown>>;

function* readMessage(): Codec<Fields> {
  const encoded = yield* readBytes("message of the other silo", maxMessageBytes);
  let value: unknown;
  try {
    value = decoder.decode(encoded);
  } catch {
    throw new BadExtension("a message that is not CBOR");
  }
  return object(value);
}

function offeredInfo(value: Fields): OfferedInfo {
  return {
    path: string(value, "path"),
    narHash: string(value, "narHash"),
    narSize: count(value["narSize"]),
    references: strings(value, "references"),
    deriver: string(value, "deriver"),
    registrationTimeSec: count(value["registrationTimeSec"]),
    signatures: strings(value, "signatures"),
    contentAddress: string(value, "contentAddress"),
  };
}

/** Checks that the columns fit each other; names and targets are for the NAR writer to check. */
function treeColumns(value: Fields): TreeColumns {
  const kinds = bytes(value, "kinds");
  const names = strings(value, "names");
  const targets = strings(value, "targets");
  const { sizes: rawSizes } = value;
  if (!Array.isArray(rawSizes)) throw new BadExtension("a tree without sizes");
  const sizes = rawSizes.map(count);
  const hashes = bytes(value, "hashes");
  let [files, links, nodes, depth] = [0, 0, 0, 0];
  kinds.forEach((kind, i) => {
    if (i > 0 && depth === 0) throw new BadExtension("a tree with several roots");
    if (kind === nodeKinds.end) depth--;
    else nodes++;
    if (kind === nodeKinds.directory) depth++;
    else if (kind === nodeKinds.symlink) links++;
    else if (kind === nodeKinds.regular || kind === nodeKinds.executable) files++;
    else if (kind !== nodeKinds.end) throw new BadExtension("a node of no known kind");
  });
  const fits =
    names.length === nodes && targets.length === links && sizes.length === files && hashes.length === files * 32;
  if (nodes === 0 || depth !== 0 || !fits) throw new BadExtension("a tree whose parts do not fit together");
  return { kinds, names, targets, sizes, hashes };
}

function object(value: unknown): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new BadExtension("expected a map");
  return value as Fields;
}

function string(value: Fields, name: string): string {
  const field = value[name];
  if (typeof field !== "string" || /[^\x00-\xff]/.test(field)) throw new BadExtension(`"${name}" is not a byte string`);
  return field;
}

function strings(value: Fields, name: string): readonly string[] {
  const field = value[name];
  if (!Array.isArray(field)) throw new BadExtension(`"${name}" is not a list`);
  return field.map((each, i) => string({ [i]: each }, String(i)));
}

function bytes(value: Fields, name: string): Uint8Array {
  const field = value[name];
  if (!(field instanceof Uint8Array)) throw new BadExtension(`"${name}" is not a sequence of bytes`);
  return field;
}

function count(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw new BadExtension("expected a size");
  return value;
}
