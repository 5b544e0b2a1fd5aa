/** Settings of substitution: where to fetch from instead of building, and how. */
import { bool, list, set, text, uint32, uint64 } from "./spec.ts";

export const substitutionSettings = () => ({
  substitute: bool("true", "Fetch from substituters instead of building", { oldName: "build-use-substitutes" }),
  substituters: list("https://cache.nixos.org/", "Stores to fetch from", {
    oldName: "binary-caches",
    client: "substituters",
  }),
  "trusted-substituters": set("", "Further stores to fetch from, which any user of the daemon may name", {
    oldName: "trusted-binary-caches",
  }),
  "always-allow-substitutes": bool("false", "Fetch even what a derivation wants built locally"),
  "max-substitution-jobs": uint32("16", "Paths to fetch at once", { aliases: ["substitution-max-jobs"] }),
  "http-connections": uint64("25", "Connections to open at once; 0 is no limit", {
    oldName: "binary-caches-parallel-connections",
  }),
  "connect-timeout": uint64("0", "Seconds to wait for a connection; 0 is no limit", { client: "anybody" }),
  "stalled-download-timeout": uint64("300", "Seconds after which a silent download is given up"),
  "download-attempts": uint32("5", "Times to try a download"),
  "download-buffer-size": uint64("67108864", "Bytes of a download to hold in memory"),
  http2: bool("true", "Use HTTP/2"),
  "user-agent-suffix": text("", "What to add to the name that web servers are told"),
  "netrc-file": text((facts) => `${facts.confDir}/netrc`, "File with passwords for web servers", {
    defaultHelp: "<conf dir>/netrc",
  }),
  "ssl-cert-file": text((facts) => facts.certificateFile, "File of the certificate authorities to believe", {
    defaultHelp: "NIX_SSL_CERT_FILE, SSL_CERT_FILE or that of the system",
  }),
  "narinfo-cache-negative-ttl": uint32("3600", "Seconds for which to remember that a substituter lacks a path"),
  "narinfo-cache-positive-ttl": uint32("2592000", "Seconds for which to remember what a substituter says of a path"),
  "hashed-mirrors": list("", "Web servers that have files by their hash"),
  "tarball-ttl": uint32("3600", "Seconds for which a downloaded tarball counts as fresh"),
});
