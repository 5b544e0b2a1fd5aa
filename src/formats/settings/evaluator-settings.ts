/**
 * Settings of Nix's evaluator and command line that this program has no use for. They are known, so that a nix.conf that
 * has them is understood, checked and shown, and handed on to build hooks.
 */
import { bool, list, map, set, text, uint32 } from "./spec.ts";

export const evaluatorSettings = () => ({
  "experimental-features": set("", "Unfinished features of Nix to turn on", { client: "never" }),
  "plugin-files": list("", "Plugins for Nix to load", { client: "never" }),
  "accept-flake-config": bool("false", "Take settings from flakes without asking"),
  "access-tokens": map("", "Tokens for code forges, as HOST=TOKEN"),
  "allow-dirty": bool("true", "Allow uncommitted changes in flakes"),
  "allow-import-from-derivation": bool("true", "Let evaluation build derivations"),
  "allow-unsafe-native-code-during-evaluation": bool("false", "Let evaluation run native code"),
  "allowed-uris": list("", "Prefixes of URLs that restricted evaluation may fetch"),
  "bash-prompt": text("", "Prompt of development shells"),
  "bash-prompt-prefix": text("", "What to put before the prompt of development shells"),
  "bash-prompt-suffix": text("", "What to put behind the prompt of development shells"),
  "commit-lockfile-summary": text("", "First line of commits that update a lock file", {
    aliases: ["commit-lock-file-summary"],
  }),
  "eval-cache": bool("true", "Cache the evaluation of flakes"),
  "eval-cores": uint32("1", "CPUs for evaluation"),
  "eval-system": text("", "System type that evaluation sees; empty is system"),
  "flake-registry": text(
    "https://github.com/NixOS/flake-registry/raw/master/flake-registry.json",
    "Where the global registry of flakes is",
  ),
  "json-log-path": text("", "File or socket to write the log to, as JSON"),
  "max-call-depth": uint32("10000", "Depth of calls at which evaluation gives up"),
  "nix-path": list("", "Where evaluation looks for files in angle brackets"),
  "pure-eval": bool("false", "Let evaluation depend on its arguments only"),
  "restrict-eval": bool("false", "Let evaluation see the files on its search path only"),
  "trace-function-calls": bool("false", "Trace the calls of functions"),
  "trace-verbose": bool("false", "Have builtins.traceVerbose print"),
  "upgrade-nix-store-path-url": text("", "Where `nix upgrade-nix` looks for the newest version"),
  "use-registries": bool("true", "Look up flakes in registries"),
  "warn-dirty": bool("true", "Warn about uncommitted changes"),
});
