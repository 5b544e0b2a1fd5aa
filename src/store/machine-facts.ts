/** The facts that defaults of settings depend on, looked up when they are asked for and not before. */
import { accessSync, closeSync, constants, existsSync, openSync, readSync } from "node:fs";
import { type ByteString, fromText } from "../formats/byte-string.ts";
import type { Facts } from "../formats/settings/facts.ts";
import { findGroup } from "../sys/user-database.ts";
import type { Environment } from "./directories.ts";

export function machineFacts(env: Environment, confDir: ByteString): Facts {
  return {
    confDir,
    isLinux: process.platform === "linux",
    get cpuCount() {
      return Math.max(1, navigator.hardwareConcurrency); // heeds the affinity, and is there without node:os
    },
    get system() {
      return `${cpuNames[process.arch] ?? process.arch}-${process.platform}`;
    },
    get cpuLevels() {
      return process.arch === "x64" ? readCpuLevels() : [];
    },
    get isWsl1() {
      return process.platform === "linux" && os().release().endsWith("-Microsoft");
    },
    get isRoot() {
      return process.getuid?.() === 0;
    },
    get hasBuildGroup() {
      return findGroup("nixbld") !== undefined;
    },
    get hasKvm() {
      return process.platform === "linux" && isAccessible("/dev/kvm");
    },
    get remote() {
      return optional(env["NIX_REMOTE"]);
    },
    get remoteSystems() {
      return optional(env["NIX_REMOTE_SYSTEMS"]);
    },
    get ignoresSymlinkedStore() {
      return env["NIX_IGNORE_SYMLINK_STORE"] === "1";
    },
    get certificateFile() {
      const named = env["NIX_SSL_CERT_FILE"] || env["SSL_CERT_FILE"];
      return fromText(named || certificateFiles.find((file) => existsSync(file)) || "");
    },
  };
}

/** Loading node:os takes longer than reading all settings, and most programs need nothing of it. */
export function os(): typeof import("node:os") {
  return process.getBuiltinModule("node:os");
}

const cpuNames: Readonly<Record<string, string>> = {
  x64: "x86_64",
  arm64: "aarch64",
  ia32: "i686",
  arm: "armv7l",
  ppc64: "powerpc64le",
  loong64: "loongarch64",
};

const certificateFiles = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/nix/var/nix/profiles/default/etc/ssl/certs/ca-bundle.crt",
];

/** The psABI levels of x86-64 in order, each with what it has beyond the one before, in the kernel's names. */
const cpuLevels: readonly (readonly [level: string, features: string])[] = [
  ["x86_64-v1", "cmov cx8 fpu fxsr mmx sse sse2"],
  ["x86_64-v2", "cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3"],
  ["x86_64-v3", "abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"],
  ["x86_64-v4", "avx512bw avx512cd avx512dq avx512f avx512vl"],
];

function readCpuLevels(): string[] {
  const flags = /^flags\s*:(.*)$/m.exec(readStart("/proc/cpuinfo", 16384));
  const features = new Set(flags?.[1]?.split(" "));
  const missing = cpuLevels.findIndex(([, needed]) => needed.split(" ").some((feature) => !features.has(feature)));
  return cpuLevels.slice(0, missing < 0 ? undefined : missing).map(([level]) => level);
}

/** The first bytes of a file, for /proc/cpuinfo repeats itself for every CPU; empty when it cannot be read. */
function readStart(path: string, size: number): string {
  try {
    const file = openSync(path, "r");
    try {
      const buffer = Buffer.alloc(size);
      return buffer.toString("latin1", 0, readSync(file, buffer, 0, size, null));
    } finally {
      closeSync(file);
    }
  } catch {
    return ""; // no /proc: then no level is promised
  }
}

function isAccessible(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false; // absent or not ours to use: both mean that a build cannot use it
  }
}

function optional(value: string | undefined): ByteString | undefined {
  return value === undefined ? undefined : fromText(value);
}
