/** Settings of building: how much at once, for how long, what to keep, on which machines. */
import { bool, int64, jobs, list, map, path, set, text, uint32, uint64 } from "./spec.ts";

export const buildSettings = () => ({
  "max-jobs": jobs("1", "Builds to run at once on this machine; 0 leaves all to others", {
    oldName: "build-max-jobs",
  }),
  cores: uint32((facts) => String(facts.cpuCount), "CPUs that a build may use, as NIX_BUILD_CORES; 0 is all", {
    oldName: "build-cores",
    defaultHelp: "number of CPUs",
  }),
  timeout: int64("0", "Seconds that a build may take; 0 is no limit", { oldName: "build-timeout", client: "anybody" }),
  "max-silent-time": int64("0", "Seconds that a build may be silent; 0 is no limit", {
    oldName: "build-max-silent-time",
    client: "anybody",
  }),
  "keep-going": bool("false", "Go on with other builds when one has failed"),
  "keep-failed": bool("false", "Keep the build directory of a build that failed"),
  fallback: bool("false", "Build what cannot be fetched", { oldName: "build-fallback" }),
  repeat: uint64("0", "Times to repeat each build to see whether its result is the same", {
    aliases: ["build-repeat"],
    client: "anybody",
  }),
  "enforce-determinism": bool("true", "Fail when a repeated build has another result"),
  "run-diff-hook": bool("false", "Run diff-hook when two builds of a derivation differ"),
  "diff-hook": path("", "Program that shows how two results differ"),
  "pre-build-hook": text("", "Program that may add to the sandbox of a build"),
  "post-build-hook": text("", "Program to run after each build, with DRV_PATH and OUT_PATHS set"),
  "keep-build-log": bool("true", "Write build logs below the log directory", { oldName: "build-keep-log" }),
  "compress-build-log": bool("true", "Compress build logs with bzip2", { oldName: "build-compress-log" }),
  "max-build-log-size": uint64("0", "Bytes of log after which a build is killed; 0 is no limit", {
    oldName: "build-max-log-size",
  }),
  "log-lines": uint64("25", "Lines at the end of the log to show when a build fails"),
  "show-trace": bool("false", "Show where in a recipe an error came about"),
  "print-missing": bool("true", "Say what will be built and fetched"),
  "build-poll-interval": uint32("5", "Seconds between two tries for a lock or a build slot", { client: "anybody" }),
  system: text((facts) => facts.system, "System type that this machine builds for", {
    defaultHelp: "that of this machine",
  }),
  "extra-platforms": set(
    (facts) => {
      const emulated = facts.system === "x86_64-linux" && !facts.isWsl1 ? ["i686-linux"] : [];
      return [...emulated, ...(facts.isLinux ? facts.cpuLevels.map((level) => `${level}-linux`) : [])].join(" ");
    },
    "Further system types that this machine can build for",
    { defaultHelp: "what the CPU can run" },
  ),
  "system-features": set(
    (facts) => `benchmark big-parallel ${facts.hasKvm ? "kvm " : ""}nixos-test`,
    "What this machine has that a derivation may require",
    { defaultHelp: "benchmark big-parallel nixos-test, and kvm where it can be used" },
  ),
  builders: text(
    ({ confDir, remoteSystems = `${confDir}/machines` }) => {
      const files = remoteSystems.split(":").filter((file) => file !== "");
      return files.map((file) => `@${file}`).join(";");
    },
    "Machines to build on, separated by ; or line ends, or @FILE",
    { client: "if-empty", defaultHelp: "@<conf dir>/machines, or the files in NIX_REMOTE_SYSTEMS" },
  ),
  "builders-use-substitutes": bool("false", "Let other machines fetch what they need instead of sending it"),
  "build-hook": list("", "Program that builds on other machines; empty is the one built in"),
  "build-users-group": text(
    (facts) => (facts.isRoot && facts.hasBuildGroup ? "nixbld" : ""),
    "Group of the users that builds run as",
    {
      defaultHelp: "nixbld for root where that group exists, else empty",
    },
  ),
  "auto-allocate-uids": bool("false", "Take users for builds from a range instead of a group"),
  "start-id": uint32((facts) => (facts.isLinux ? "872415232" : "56930"), "First of that range", {
    defaultHelp: "872415232",
  }),
  "id-count": uint32((facts) => (facts.isLinux ? "8388608" : "128"), "Size of that range", { defaultHelp: "8388608" }),
  "build-dir": path("", "Where build directories are made; empty is below the state directory"),
  "impure-env": map("", "Variables for fixed-output derivations that name them in impureEnvVars"),
  "impersonate-linux-26": bool("false", "Show builds a kernel of version 2.6", {
    oldName: "build-impersonate-linux-26",
  }),
  "external-builders": text("[]", "Programs that realise derivations of other systems, as JSON"),
});
