/** Memory that the kernel keeps pointers into: strings, arrays of pointers, structures, in one buffer that stays where it is. */
import { runtime } from "#runtime";

export interface NativeMemory {
  /** The address of `size` bytes of zeros, aligned to 16. */
  reserve(size: number): number;
  /** The address of a copy of the bytes. */
  bytes(bytes: Uint8Array): number;
  /** The address of a copy of the byte string with a NUL behind. */
  string(bytes: string): number;
  /** Writes 64-bit numbers at an address inside. */
  setWords(address: number, words: readonly number[]): void;
}

/** Reserves `capacity` bytes. Whoever uses an address keeps the object alive. */
export function nativeMemory(capacity: number): NativeMemory {
  const buffer = Buffer.alloc(capacity + 16);
  const base = runtime.addressOf(buffer);
  let used = -base & 15;

  function reserve(size: number): number {
    const at = used;
    used = (used + size + 15) & ~15;
    if (used > buffer.length) throw new Error(`native memory: ${size} bytes more than the ${capacity} reserved`);
    return base + at;
  }

  return {
    reserve,
    bytes(bytes) {
      const address = reserve(bytes.length);
      buffer.set(bytes, address - base);
      return address;
    },
    string(bytes) {
      const address = reserve(bytes.length + 1);
      buffer.write(bytes, address - base, "latin1");
      return address;
    },
    setWords(address, words) {
      for (let index = 0, at = address - base; index < words.length; index++, at += 8) {
        const word = words[index]!;
        // Two halves, negative numbers in two's complement: a BigInt for every word would be slow.
        buffer.writeInt32LE(word | 0, at);
        buffer.writeInt32LE(Math.floor(word / 0x1_0000_0000) | 0, at + 4);
      }
    },
  };
}

/** Bytes that {@link stringList} takes. */
export function stringListSize(strings: readonly string[]): number {
  return strings.reduce((sum, text) => sum + text.length + 17, (strings.length + 1) * 8 + 16);
}

/** The address of a list of strings as execve(2) takes arguments and environment: pointers, and a null pointer. */
export function stringList(memory: NativeMemory, strings: readonly string[]): number {
  const address = memory.reserve((strings.length + 1) * 8);
  memory.setWords(
    address,
    strings.map((text) => memory.string(text)),
  );
  return address;
}
