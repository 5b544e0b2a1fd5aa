/**
 * Files of known host keys, as sshd(8) describes them under SSH_KNOWN_HOSTS FILE FORMAT:
 *
 *     [@cert-authority | @revoked] hosts keytype base64-key [comment]
 *
 * `hosts` are patterns with commas between them (`*`, `?`, `!` in front for not these; `[host]:port` for a port that is not 22), or one
 * hashed name, `|1|base64 salt|base64 HMAC-SHA1 of the name`.
 */
import { createHmac } from "node:crypto";
import { matchPatterns } from "./patterns.ts";

export interface KnownHostsFile {
  readonly path: string;
  readonly text: string;
}

export interface KnownHost {
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly marker: "none" | "cert-authority" | "revoked";
  readonly keyType: string;
  /** Base64. */
  readonly key: string;
}

export type HostKeyVerdict =
  | { readonly kind: "known" }
  | { readonly kind: "revoked"; readonly entry: KnownHost }
  /** Other keys are known, and this one is not among them. */
  | { readonly kind: "changed"; readonly entry: KnownHost }
  /** `authority`: only a certificate would be known. */
  | { readonly kind: "unknown"; readonly authority: KnownHost | undefined };

/** The name that a host has in the files. */
export function knownHostsName(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/** The entries of a name, in order. Lines that make no sense are passed over, as ssh does. */
export function findKnownHosts(files: readonly KnownHostsFile[], name: string): KnownHost[] {
  const found: KnownHost[] = [];
  for (const { path, text } of files) {
    text.split("\n").forEach((content, i) => {
      const fields = content.trim().split(/\s+/);
      if (fields[0] === "" || fields[0]!.startsWith("#")) return;
      const marker = markerOf(fields[0]!);
      if (marker !== "none") fields.shift();
      const [hosts, keyType, key] = fields;
      if (marker === undefined || hosts === undefined || keyType === undefined || key === undefined) return;
      if (matchesHosts(hosts, name)) found.push({ path, line: i + 1, marker, keyType, key });
    });
  }
  return found;
}

/** @param entries those of the host's name @param key the public key that the host has shown, in ssh's encoding */
export function judgeHostKey(entries: readonly KnownHost[], keyType: string, key: Buffer): HostKeyVerdict {
  const shown = key.toString("base64");
  const isShown = (entry: KnownHost) => sameBase64(entry.key, shown);
  const revoked = entries.find((entry) => entry.marker === "revoked" && isShown(entry));
  if (revoked !== undefined) return { kind: "revoked", entry: revoked };
  const plain = entries.filter(({ marker }) => marker === "none");
  if (plain.some(isShown)) return { kind: "known" };
  const other = plain.find((entry) => entry.keyType === keyType) ?? plain[0];
  if (other !== undefined) return { kind: "changed", entry: other };
  return { kind: "unknown", authority: entries.find(({ marker }) => marker === "cert-authority") };
}

/** The line that makes a key known. */
export function printKnownHost(name: string, keyType: string, key: Buffer): string {
  return `${name} ${keyType} ${key.toString("base64")}\n`;
}

function markerOf(word: string): KnownHost["marker"] | undefined {
  if (!word.startsWith("@")) return "none";
  if (word === "@cert-authority") return "cert-authority";
  return word === "@revoked" ? "revoked" : undefined;
}

function matchesHosts(hosts: string, name: string): boolean {
  if (!hosts.startsWith("|")) return matchPatterns(hosts.toLowerCase().split(","), name);
  const [, version, salt, hash] = hosts.split("|");
  if (version !== "1" || salt === undefined || hash === undefined) return false;
  return createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest("base64") === hash;
}

function sameBase64(a: string, b: string): boolean {
  return a.replace(/=+$/, "") === b.replace(/=+$/, "");
}
