/** The personality that a builder gets: personality(2). */

const PER_LINUX32 = 0x0008;
const UNAME26 = 0x0020000;
const ADDR_NO_RANDOMIZE = 0x0040000;

const thirtyTwoBit: Readonly<Partial<Record<NodeJS.Architecture, readonly string[]>>> = {
  x64: ["i686-linux"],
  arm64: ["armv6l-linux", "armv7l-linux"],
};

/**
 * Bits for personality(2): no randomised addresses, which make builds differ; the 32-bit machine for systems that the
 * 64-bit one runs as well; and the old version number, for programs that look at it.
 */
export function personaFor(system: string, machine: NodeJS.Architecture, kernelVersion: "real" | "2.6"): number {
  const narrow = thirtyTwoBit[machine]?.includes(system) ? PER_LINUX32 : 0;
  const old = kernelVersion === "2.6" && /^(i686|x86_64)-linux$/.test(system) ? UNAME26 : 0;
  return narrow | old | ADDR_NO_RANDOMIZE;
}
