/**
 * Values of the worker protocol, each written down once and both read and written from that: numbers, strings, store paths, lists,
 * maps, records, and fields that a version of the protocol has added. What they are made of is in formats/wire.ts.
 *
 * A `list` keeps its order, a `set` and a `map` are written in ascending order and read in any.
 */
import { SiloError } from "../../error.ts";
import { type ByteString, compareBytes } from "../byte-string.ts";
import type { Codec } from "../codec.ts";
import {
  maxNameLength,
  hashPartLength,
  parseFullStorePath,
  printStorePath,
  type StoreDir,
  type StorePath,
} from "../store-path.ts";
import { BadWire, readBool, readBytes, readNumber, readString, readU64, type WireWriter } from "../wire.ts";

/** What both sides have agreed on. */
export interface WireContext {
  readonly storeDir: StoreDir;
  /** The lesser of both sides' minor versions. */
  readonly minor: number;
  /** Named features that both sides have (1.38 and later). */
  readonly features: ReadonlySet<string>;
}

export interface WireType<T> {
  /** @param what names the value in errors. @throws a SiloError for anything malformed */
  read(context: WireContext, what: string): Codec<T>;
  write(writer: WireWriter, value: T, context: WireContext): void;
}

/** The value that a wire type stands for. */
export type ValueOf<W> = W extends WireType<infer T> ? T : never;

/** Something that this version of the protocol has no place for. */
export class NotInProtocol extends SiloError {
  readonly code = "not-in-protocol";
}

/** Items of one list at most: more than any store has paths. Memory is taken as they arrive. */
export const maxListItems = 16_000_000;
/** Bytes of a string without a limit of its own: names, settings, messages, environment values. */
export const maxStringBytes = 64 * 1024 * 1024;
/** Bytes of a text that becomes a file in the store: as much as the store reads of a derivation. */
export const maxTextBytes = 256 * 1024 * 1024;
const maxInt = 0xffff_ffff;

/** All 64 bits. */
export const u64: WireType<bigint> = { read: () => readU64(), write: (writer, value) => void writer.u64(value) };

/** A size or time: 64 bits on the wire, refused where a number does not hold it exactly. */
export const size: WireType<number> = {
  read: (_, what) => readNumber(what),
  write: (writer, value) => void writer.u64(value),
};

/** What Nix reads into an unsigned int: 32 bits. */
export const int: WireType<number> = {
  read: (_, what) => readNumber(what, maxInt),
  write: (writer, value) => void writer.u64(value),
};

export const bool: WireType<boolean> = { read: () => readBool(), write: (writer, value) => void writer.bool(value) };

export const string: WireType<ByteString> = stringUpTo(maxStringBytes);

export function stringUpTo(maxBytes: number): WireType<ByteString> {
  return { read: (_, what) => readString(what, maxBytes), write: (writer, value) => void writer.string(value) };
}

/** A string as bytes. */
export function bytesUpTo(maxBytes: number): WireType<Uint8Array> {
  return { read: (_, what) => readBytes(what, maxBytes), write: (writer, value) => void writer.bytes(value) };
}

/** A full store path. */
export const storePath: WireType<StorePath> = {
  *read({ storeDir }, what) {
    return parseFullStorePath(storeDir, yield* readString(what, maxPathBytes(storeDir)));
  },
  write: (writer, value, { storeDir }) => void writer.string(printStorePath(storeDir, value)),
};

/** A full store path, or the empty string for none. */
export const optionalStorePath: WireType<StorePath | undefined> = {
  *read({ storeDir }, what) {
    const text = yield* readString(what, maxPathBytes(storeDir));
    return text === "" ? undefined : parseFullStorePath(storeDir, text);
  },
  write: (writer, value, { storeDir }) =>
    void writer.string(value === undefined ? "" : printStorePath(storeDir, value)),
};

/** Nothing at all. */
export const nothing: WireType<undefined> = {
  // biome-ignore lint/correctness/useYield: a codec that wants nothing
  *read() {
    return undefined;
  },
  write() {},
};

/** The 1 that follows where there is nothing to say; other values are accepted. */
export const one: WireType<undefined> = {
  *read() {
    yield* readU64();
    return undefined;
  },
  write: (writer) => void writer.u64(1),
};

/** A field that is not used any more. */
export const unused: WireType<undefined> = {
  *read() {
    yield* readU64();
    return undefined;
  },
  write: (writer) => void writer.u64(0),
};

export function list<T>(item: WireType<T>): WireType<readonly T[]> {
  return {
    *read(context, what) {
      const count = yield* readNumber(`number of ${what}`, maxListItems);
      const items: T[] = []; // not `new Array(count)`: the count is only a claim
      for (let i = 0; i < count; i++) items.push(yield* item.read(context, what));
      return items;
    },
    write(writer, items, context) {
      writer.u64(items.length);
      for (const each of items) item.write(writer, each, context);
    },
  };
}

/** Strings without order; each once. */
export function set<T extends string>(item: WireType<T>): WireType<readonly T[]> {
  const items = list(item);
  return {
    read: items.read,
    write: (writer, value, context) => items.write(writer, ascending(value), context),
  };
}

/** As a rule they are so already. */
function ascending<T extends string>(items: readonly T[]): readonly T[] {
  for (let i = 1; i < items.length; i++) {
    if (items[i - 1]! >= items[i]!) return [...new Set(items)].sort(compareBytes);
  }
  return items;
}

export const storePaths: WireType<readonly StorePath[]> = set(storePath);

/** A key that comes twice keeps its last value. */
export function map<K extends string, V>(key: WireType<K>, value: WireType<V>): WireType<ReadonlyMap<K, V>> {
  return {
    *read(context, what) {
      const count = yield* readNumber(`number of ${what}`, maxListItems);
      const entries = new Map<K, V>();
      for (let i = 0; i < count; i++) {
        const name = yield* key.read(context, what);
        entries.set(name, yield* value.read(context, what));
      }
      return entries;
    },
    write(writer, entries, context) {
      writer.u64(entries.size);
      for (const [name, each] of [...entries].sort(([a], [b]) => compareBytes(a, b))) {
        key.write(writer, name, context);
        value.write(writer, each, context);
      }
    },
  };
}

type Fields<R> = { readonly [F in keyof R]: WireType<R[F]> };

/** Fields in the order in which they are written here. */
export function record<R extends object>(fields: Fields<R>): WireType<Readonly<R>> {
  const names = Object.keys(fields) as (keyof R & string)[];
  return {
    *read(context, what) {
      const value: Partial<R> = {};
      for (const name of names) value[name] = yield* fields[name].read(context, `${name} of ${what}`);
      return value as R;
    },
    write(writer, value, context) {
      for (const name of names) fields[name].write(writer, value[name], context);
    },
  };
}

/** A field that the protocol has since the given minor version; before, `otherwise` is what it reads as and nothing is written. */
export function since<T>(minor: number, type: WireType<T>, otherwise: T): WireType<T> {
  return {
    *read(context, what) {
      return context.minor >= minor ? yield* type.read(context, what) : otherwise;
    },
    write(writer, value, context) {
      if (context.minor >= minor) type.write(writer, value, context);
    },
  };
}

/** One form before the given minor version, another since. */
export function changed<T>(minor: number, before: WireType<T>, now: WireType<T>): WireType<T> {
  const pick = (context: WireContext) => (context.minor >= minor ? now : before);
  return {
    read: (context, what) => pick(context).read(context, what),
    write: (writer, value, context) => pick(context).write(writer, value, context),
  };
}

/** One of these names, as its position. */
export function oneOf<N extends string>(names: readonly N[]): WireType<N> {
  return {
    *read(_, what) {
      const value = yield* readNumber(what, maxInt);
      const name = names[value];
      if (name === undefined) throw new BadWire(what, `${value} is none of 0 to ${names.length - 1}`);
      return name;
    },
    write: (writer, name) => void writer.u64(names.indexOf(name)),
  };
}

/** The same bytes for another kind of value. */
export function converted<A, B>(
  type: WireType<A>,
  decode: (value: A, context: WireContext, what: string) => B,
  encode: (value: B, context: WireContext) => A,
): WireType<B> {
  return {
    *read(context, what) {
      return decode(yield* type.read(context, what), context, what);
    },
    write: (writer, value, context) => type.write(writer, encode(value, context), context),
  };
}

function maxPathBytes(storeDir: StoreDir): number {
  return storeDir.length + 1 + hashPartLength + 1 + maxNameLength;
}
