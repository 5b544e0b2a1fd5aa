/** Whether the host is who it should be, and what to say when it is not. */
import { createHash } from "node:crypto";
import { appendFileSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { SiloError } from "../../error.ts";
import { findKnownHosts, judgeHostKey, type KnownHost, knownHostsName, printKnownHost } from "./known-hosts.ts";
import type { SshTarget } from "./ssh-target.ts";

/** The host has another key than it should, or one that nobody knows. */
export class HostKeyRefused extends SiloError {
  readonly code = "host-key-refused";
  constructor(
    readonly host: string,
    readonly reason: string,
  ) {
    super(`Cannot trust the host key of '${host}': ${reason}`);
  }
}

/** What there is to know of the target's key, from all files. */
export function knownHostsOf(target: SshTarget): readonly KnownHost[] {
  const { alias, files } = target.hostKeys;
  const name = alias ?? knownHostsName(target.host, target.port);
  const entries = findKnownHosts(files, name);
  if (entries.length > 0 || alias !== undefined || target.port === 22) return entries;
  // The host on its usual port: a match counts, another key means nothing.
  return findKnownHosts(files, knownHostsName(target.host, 22));
}

/** Signature algorithms for the host key, those for which a key is known first, so that the host shows that one. */
export function hostKeyAlgorithms(target: SshTarget, entries: readonly KnownHost[]): string[] {
  const known = new Set(entries.map(({ keyType }) => keyType));
  if (target.hostKeys.pinned !== undefined) known.add(target.hostKeys.pinned.split(" ")[0]!);
  const isKnown = (algorithm: string) => known.has(algorithm.startsWith("rsa-sha2") ? "ssh-rsa" : algorithm);
  return [...algorithms.filter(isKnown), ...algorithms.filter((each) => !isKnown(each))];
}

const algorithms = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
];

/** @throws HostKeyRefused */
export function checkHostKey(target: SshTarget, entries: readonly KnownHost[], key: Buffer): void {
  const { checking, pinned, writeTo } = target.hostKeys;
  const keyType = key.toString("latin1", 4, 4 + key.readUInt32BE(0));
  const shown = `${keyType} ${fingerprint(key)}`;
  if (pinned !== undefined) {
    if (pinned.split(" ")[1]?.replace(/=+$/, "") === key.toString("base64").replace(/=+$/, "")) return;
    throw new HostKeyRefused(
      target.name,
      `it is ${shown}, not the one that the store URI or the list of machines states`,
    );
  }
  const verdict = judgeHostKey(entries, keyType, key);
  const name = target.hostKeys.alias ?? knownHostsName(target.host, target.port);
  switch (verdict.kind) {
    case "known":
      return;
    case "revoked":
      throw new HostKeyRefused(target.name, `${shown} is marked as revoked in ${place(verdict.entry)}`);
    case "changed":
      if (checking === "off") return;
      throw new HostKeyRefused(
        target.name,
        `it is ${shown}, but ${place(verdict.entry)} has another one (${verdict.entry.keyType} ${fingerprint(Buffer.from(verdict.entry.key, "base64"))}). ` +
          `Somebody may be listening in; if the host was set up anew, remove the old key with: ssh-keygen -R '${name}'`,
      );
    case "unknown":
      if (checking === "off") return;
      if (checking === "accept-new" && writeTo !== undefined)
        return remember(writeTo, printKnownHost(name, keyType, key));
      throw new HostKeyRefused(
        target.name,
        `it is ${shown}, which is in none of the known_hosts files` +
          (verdict.authority === undefined
            ? ""
            : ` (${place(verdict.authority)} names an authority, but certificates of hosts are not understood)`) +
          `. Compare the fingerprint, and if it is right: ssh-keyscan ${target.port === 22 ? "" : `-p ${target.port} `}${target.host} >> ${writeTo ?? "~/.ssh/known_hosts"}`,
      );
  }
}

function fingerprint(key: Buffer): string {
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

function place({ path, line }: KnownHost): string {
  return `'${path}', line ${line}`;
}

function remember(file: string, line: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    appendFileSync(file, line, { mode: 0o600 });
  } catch {
    // Accepted all the same, as ssh does: the next time it is new again.
  }
}
