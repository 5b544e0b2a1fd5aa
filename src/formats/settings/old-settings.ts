/**
 * Settings of Nix 1.7 that later versions dropped. They keep their meaning for 1.7's helper programs, which are handed
 * all settings, and are shown only where they are set. `binary-cache-public-key-NAME` belongs here, too, but is a family.
 */
import { bool, list, text } from "./spec.ts";

export const oldSettings = () => ({
  "build-cache-failure": bool("false", "Remember which builds failed, and do not try them again"),
  "gc-check-reachability": bool("false", "Warn when a new root is not where the collector finds it"),
  "ssh-substituter-hosts": list("", "Machines to fetch from through ssh; only the first is used"),
  "use-ssh-substituter": bool("false", "Fetch from ssh-substituter-hosts", { client: "anybody" }),
  "use-binary-caches": bool("true", "Fetch from binary caches"),
  "binary-cache-files": list("", "Files that list binary caches, as patterns", { aliases: ["binary-caches-files"] }),
  "signed-binary-caches": text("0", "Refuse what binary caches have not signed, unless 0"),
  "force-manifest": bool("false", "Have nix-channel fetch manifests even where there is a binary cache"),
  "debug-subst": text("0", "Have helpers say what they fetch, when 1"),
});
