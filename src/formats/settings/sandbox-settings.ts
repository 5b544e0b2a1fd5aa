/** Settings of isolation: what a builder sees of the machine. */
import { bool, sandbox, set, text } from "./spec.ts";

export const sandboxSettings = () => ({
  sandbox: sandbox((facts) => String(facts.isLinux), "Isolate builds; relaxed leaves out those that ask for it", {
    oldName: "build-use-chroot",
    aliases: ["build-use-sandbox"],
    defaultHelp: "true on Linux",
  }),
  "sandbox-paths": set("", "Paths that builds see besides their inputs, as TARGET=SOURCE; a ? at the end forgives", {
    oldName: "build-chroot-dirs",
    aliases: ["build-sandbox-paths"],
  }),
  "sandbox-build-dir": text("/build", "Name of the build directory inside"),
  "sandbox-dev-shm-size": text("50%", "Size limit of /dev/shm inside, as the size option of tmpfs"),
  "sandbox-fallback": bool("true", "Build without a sandbox when the kernel allows none"),
  "filter-syscalls": bool("true", "Keep builds from making setuid files and extended attributes"),
  "allow-new-privileges": bool("false", "Let builds gain privileges through setuid programs"),
  "allowed-impure-host-deps": set("", "Prefixes of paths that derivations may ask for"),
  "use-cgroups": bool("false", "Run each build in a control group of its own"),
  "require-drop-supplementary-groups": bool(
    (facts) => String(facts.isRoot),
    "Fail when a build would keep supplementary groups",
    { defaultHelp: "true for root, else false" },
  ),
});
