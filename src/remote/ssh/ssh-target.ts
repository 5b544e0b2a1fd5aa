/**
 * Where and how to connect: what the store URI, NIX_SSHOPTS and the ssh configuration say together, in this order of precedence.
 */
import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { SiloError } from "../../error.ts";
import type { Environment } from "../../store/directories.ts";
import { findUserById } from "../../sys/user-database.ts";
import type { KnownHostsFile } from "./known-hosts.ts";
import { readSshConfig, type SshSettings } from "./ssh-config-files.ts";
import { parseSshOptions } from "./ssh-options.ts";

/** Whether a host whose key is not known is connected to: `ask` is `yes` for programs that nobody sits in front of. */
export type HostKeyChecking = "strict" | "accept-new" | "off";

export interface SshTarget {
  /** As the user called it. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Private key files in the order to be tried. Missing ones are passed over, unless `explicit`. */
  readonly identities: readonly { readonly file: string; readonly explicit: boolean }[];
  /** Offer only keys of `identities`, also from the agent. */
  readonly identitiesOnly: boolean;
  /** The agent's socket. */
  readonly agentSocket: string | undefined;
  readonly hostKeys: {
    readonly checking: HostKeyChecking;
    /** The name to look up instead of the host's. */
    readonly alias: string | undefined;
    readonly files: readonly KnownHostsFile[];
    /** Where `accept-new` writes. */
    readonly writeTo: string | undefined;
    /** The only key to accept, as `ssh-ed25519 AAAA…`. */
    readonly pinned: string | undefined;
  };
  readonly compression: boolean;
  readonly addressFamily: 0 | 4 | 6;
  readonly connectTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly keepAliveCount: number;
  /** Machines to go through, the first one first. */
  readonly jumps: readonly SshTarget[];
  /** A command whose standard input and output are the connection. */
  readonly proxyCommand: string | undefined;
}

/** What a store URI says. */
export interface SshAddress {
  readonly host: string;
  readonly port: number | undefined;
  readonly user: string | undefined;
  readonly sshKey: string | undefined;
  readonly hostKey: string | undefined;
  readonly compress: boolean;
  /** 0 for what the configuration says. */
  readonly connectTimeoutMs: number;
}

export class BadSshTarget extends SiloError {
  readonly code = "bad-ssh-target";
  constructor(
    readonly host: string,
    readonly reason: string,
  ) {
    super(`Cannot connect to '${host}': ${reason}`);
  }
}

const defaultKeyNames = ["id_rsa", "id_ecdsa", "id_ed25519"];
const systemConfig = "/etc/ssh/ssh_config";
const systemKnownHosts = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];
const defaultConnectTimeoutMs = 60_000;
const defaultKeepAliveMs = 15_000;
const maxJumps = 8;

/** @throws BadSshTarget, BadSshOptions, BadSshConfig */
export function resolveSshTarget(address: SshAddress, env: Environment, depth = 0): SshTarget {
  if (address.host === "" || address.host.startsWith("-"))
    throw new BadSshTarget(address.host, "it is not the name of a host");
  const local = localUser(env);
  const options = parseSshOptions(depth === 0 ? (env["NIX_SSHOPTS"] ?? "") : "");
  const files =
    options.configFile === undefined ? [join(local.home, ".ssh/config"), systemConfig] : [options.configFile];
  const configured =
    options.configFile === "none" ? new Map() : readSshConfig(files, address.host, address.user, local.home);
  const setting = settingLookup(options.settings, configured);

  const port = address.port ?? numberOf(setting("port")) ?? 22;
  const user = address.user ?? setting("user") ?? local.name;
  const host = expand(setting("hostname") ?? address.host, { h: address.host }, local);
  const tokens = { h: host, n: address.host, p: String(port), r: user };
  const path = (text: string) => expandPath(text, tokens, local);

  const identities = explicitIdentities(address, options.settings, configured);
  const userFiles = words(setting.all("userknownhostsfile") ?? ["~/.ssh/known_hosts ~/.ssh/known_hosts2"]).map(path);
  const globalFiles = words(setting.all("globalknownhostsfile") ?? systemKnownHosts).map(path);
  const agent = setting("identityagent");
  return {
    name: address.host,
    host,
    port,
    user,
    identities:
      identities.length > 0
        ? identities.map((file) => ({ file: path(file), explicit: file === address.sshKey }))
        : defaultKeyNames.map((name) => ({ file: join(local.home, ".ssh", name), explicit: false })),
    identitiesOnly: setting("identitiesonly")?.toLowerCase() === "yes",
    agentSocket:
      agent === undefined || agent === "SSH_AUTH_SOCK"
        ? env["SSH_AUTH_SOCK"] || undefined
        : agent.toLowerCase() === "none"
          ? undefined
          : agent.startsWith("$")
            ? env[agent.slice(1)]
            : path(agent),
    hostKeys: {
      checking: hostKeyChecking(setting("stricthostkeychecking")),
      alias: setting("hostkeyalias"),
      files: [...userFiles, ...globalFiles].filter((file) => file !== "none" && existsSync(file)).map(readKnownHosts),
      writeTo: userFiles[0],
      pinned: address.hostKey,
    },
    compression: address.compress || setting("compression")?.toLowerCase() === "yes",
    addressFamily: addressFamily(setting("addressfamily")),
    connectTimeoutMs:
      address.connectTimeoutMs || (numberOf(setting("connecttimeout")) ?? 0) * 1000 || defaultConnectTimeoutMs,
    keepAliveMs: (numberOf(setting("serveraliveinterval")) ?? 0) * 1000 || defaultKeepAliveMs,
    keepAliveCount: numberOf(setting("serveralivecountmax")) ?? 3,
    jumps: resolveJumps(setting("proxyjump"), address, env, depth),
    proxyCommand: proxyCommand(setting("proxycommand"), tokens, local),
  };
}

interface LocalUser {
  readonly name: string;
  readonly uid: number;
  readonly home: string;
  readonly env: Environment;
}

/** By the user database; the environment knows users of directory services, who are not in it. */
function localUser(env: Environment): LocalUser {
  const uid = process.getuid!();
  const user = findUserById(uid);
  const name = user?.name ?? env["USER"] ?? env["LOGNAME"] ?? String(uid);
  return { name, uid, home: env["HOME"] || user?.home || "/", env };
}

interface SettingLookup {
  (name: string): string | undefined;
  all(name: string): readonly string[] | undefined;
}

function settingLookup(options: readonly (readonly [string, string])[], configured: SshSettings): SettingLookup {
  const all = (name: string) => {
    const [, value] = options.find(([key]) => key === name) ?? [];
    return value === undefined ? configured.get(name) : [value];
  };
  return Object.assign((name: string) => all(name)?.join(" "), { all });
}

function explicitIdentities(
  address: SshAddress,
  options: readonly (readonly [string, string])[],
  configured: SshSettings,
): string[] {
  const fromUri = address.sshKey === undefined ? [] : [address.sshKey];
  const fromOptions = options.filter(([name]) => name === "identityfile").map(([, file]) => file);
  return [...fromUri, ...fromOptions, ...(configured.get("identityfile") ?? [])].filter((file) => file !== "none");
}

/** `[user@]host[:port]` or `ssh://…`, with commas between them. */
function resolveJumps(text: string | undefined, from: SshAddress, env: Environment, depth: number): SshTarget[] {
  if (text === undefined || text.toLowerCase() === "none") return [];
  if (depth >= maxJumps) throw new BadSshTarget(from.host, `ProxyJump leads through more than ${maxJumps} machines`);
  const jumps: SshTarget[] = [];
  for (const each of text.split(",")) {
    const [, user, bracketed, plain, port] =
      /^(?:ssh:\/\/)?(?:([^@]+)@)?(?:\[([^\]]+)\]|([^:/]+))(?::([0-9]+))?\/?$/.exec(each.trim()) ?? [];
    const host = bracketed ?? plain;
    if (host === undefined) throw new BadSshTarget(from.host, `cannot understand ProxyJump ${JSON.stringify(text)}`);
    const address = { host, port: numberOf(port), user, sshKey: undefined, hostKey: undefined, compress: false };
    const target = resolveSshTarget({ ...address, connectTimeoutMs: from.connectTimeoutMs }, env, depth + 1);
    // The jumps of the first are its own; those behind it are reached through it.
    jumps.push(...(jumps.length === 0 ? [...target.jumps, { ...target, jumps: [] }] : [{ ...target, jumps: [] }]));
  }
  return jumps;
}

function hostKeyChecking(text: string | undefined): HostKeyChecking {
  switch (text?.toLowerCase()) {
    case "no":
    case "off":
      return "off";
    case "accept-new":
      return "accept-new";
    default:
      return "strict";
  }
}

function addressFamily(text: string | undefined): 0 | 4 | 6 {
  return text === "inet" ? 4 : text === "inet6" ? 6 : 0;
}

function proxyCommand(text: string | undefined, tokens: Tokens, local: LocalUser): string | undefined {
  return text === undefined || text.toLowerCase() === "none" ? undefined : expand(text, tokens, local);
}

function readKnownHosts(path: string): KnownHostsFile {
  try {
    return { path, text: readFileSync(path, "latin1") };
  } catch {
    return { path, text: "" }; // another user's: then it knows nobody
  }
}

type Tokens = Readonly<Record<string, string>>;

function expandPath(text: string, tokens: Tokens, local: LocalUser): string {
  const expanded = expand(text, tokens, local);
  if (expanded === "~") return local.home;
  return expanded.startsWith("~/") ? join(local.home, expanded.slice(2)) : expanded;
}

/** The tokens of ssh_config(5) and `${VARIABLE}`. */
function expand(text: string, tokens: Tokens, local: LocalUser): string {
  const [short] = hostname().split(".");
  const all: Tokens = {
    d: local.home,
    u: local.name,
    l: hostname(),
    L: short!,
    i: String(local.uid),
    "%": "%",
    ...tokens,
  };
  return text
    .replace(/%(.)/g, (whole, token: string) => all[token] ?? whole)
    .replace(/\$\{([^}]*)\}/g, (_, name: string) => local.env[name] ?? "");
}

function words(values: readonly string[]): string[] {
  return values.length === 1 ? values[0]!.split(/\s+/) : [...values];
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
}
