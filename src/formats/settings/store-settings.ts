/** Settings of the store itself: database, adding, garbage collection, who may use the daemon. */
import { bool, int64, list, set, text, uint64 } from "./spec.ts";

export const storeSettings = () => ({
  store: text((facts) => facts.remote ?? "auto", "Store to use: auto, local, daemon, a directory or a store URL", {
    defaultHelp: "NIX_REMOTE, or auto",
  }),
  "fsync-metadata": bool("true", "Have the database flushed to disk, so that it survives power loss"),
  "fsync-store-paths": bool("false", "Flush the files of a store path to disk before it becomes valid"),
  "sync-before-registering": bool("false", "Flush all file systems before a path becomes valid"),
  "use-sqlite-wal": bool((facts) => String(!facts.isWsl1), "Use the write-ahead log of SQLite", {
    defaultHelp: "true, except under WSL1",
  }),
  "auto-optimise-store": bool("false", "Replace identical files by hard links as they are added"),
  "allow-symlinked-store": bool(
    (facts) => String(facts.ignoresSymlinkedStore),
    "Accept a store directory that has symbolic links in its path",
    { defaultHelp: "true when NIX_IGNORE_SYMLINK_STORE is 1, else false" },
  ),
  "require-sigs": bool("true", "Refuse paths from elsewhere that no trusted key has signed"),
  "trusted-public-keys": list(
    "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=",
    "Public keys whose signatures make a path from elsewhere acceptable",
    { aliases: ["binary-cache-public-keys"] },
  ),
  "secret-key-files": list("", "Files with the secret keys that sign what is built here"),
  "ignored-acls": set("security.selinux system.nfs4_acl", "Extended attributes that are left on files in the store"),
  "use-case-hack": bool("false", "Add a suffix to names that differ in case only, for file systems that cannot tell"),
  "nar-buffer-size": uint64("33554432", "Bytes of an archive to hold in memory before it goes to disk"),
  "preallocate-contents": bool("false", "Reserve the space of a file before it is written"),
  "warn-large-path-threshold": uint64("0", "Warn when adding a path of more bytes than this; 0 never does"),
  "gc-reserved-space": int64("8388608", "Bytes of disk set aside, so that collecting works on a full one"),
  "keep-outputs": bool("false", "Keep the outputs of derivations that are kept", { oldName: "gc-keep-outputs" }),
  "keep-derivations": bool("true", "Keep the derivations of outputs that are kept", { oldName: "gc-keep-derivations" }),
  "keep-env-derivations": bool("false", "Have profiles keep the derivations of what is installed", {
    oldName: "env-keep-derivations",
  }),
  "min-free": uint64("0", "Collect garbage during a build when fewer bytes than this are free; 0 never does"),
  "max-free": uint64("18446744073709551615", "Stop such a collection when this many bytes are free"),
  "min-free-check-interval": uint64("5", "Seconds between two looks at the free space"),
  "trusted-users": list("root", "Users and @groups whom the daemon trusts, which is as good as giving them root"),
  "allowed-users": list("*", "Users and @groups who may use the daemon; * is everybody"),
  "use-xdg-base-directories": bool("false", "Keep profiles of users below XDG_STATE_HOME"),
});
