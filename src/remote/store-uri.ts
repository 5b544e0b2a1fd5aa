/**
 * The addresses of stores on other machines: `ssh://[USER@]HOST[:PORT][?PARAMETERS]`, which runs `nix-store --serve --write` there, and `ssh-ng://…`, which
 * runs `nix-daemon --stdio`. Parameters are those of Nix; what only its ssh program or its caches know is passed over. See the Nix manual, "Experimental SSH
 * Store".
 */
import { SiloError } from "../error.ts";

export interface RemoteStoreAddress {
  /** As people call it, without parameters: `ssh://user@host`. */
  readonly name: string;
  /** Exactly `localhost`, which Nix reaches without ssh. */
  readonly isHere: boolean;
  readonly protocol: "serve" | "worker";
  readonly host: string;
  readonly port: number | undefined;
  readonly user: string | undefined;
  readonly sshKey: string | undefined;
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string | undefined;
  readonly compress: boolean;
  /** The program to run there, with arguments. */
  readonly program: string;
  /** The store there, as its `--store` has it. */
  readonly remoteStore: string | undefined;
  /** Conversations at once. */
  readonly maxConnections: number | undefined;
  readonly priority: number | undefined;
  /** Its paths need no signature. */
  readonly trusted: boolean;
}

export class BadStoreUri extends SiloError {
  readonly code = "bad-store-uri";
  constructor(
    readonly uri: string,
    readonly reason: string,
  ) {
    super(`Cannot use the store ${JSON.stringify(uri)}: ${reason}`);
  }
}

export function isSshStore(uri: string): boolean {
  return /^ssh(-ng)?:\/\//.test(uri);
}

/** @throws BadStoreUri */
export function parseStoreUri(uri: string): RemoteStoreAddress {
  const [, ng, authority, query] = /^ssh(-ng)?:\/\/([^?]*?)\/?(?:\?(.*))?$/s.exec(uri) ?? [];
  if (authority === undefined) throw new BadStoreUri(uri, "expected ssh://HOST or ssh-ng://HOST");
  const [, user, bracketed, plain, port] =
    /^(?:([^@]+)@)?(?:\[([^\]]+)\]|([^:]+))(?::([0-9]{1,5}))?$/.exec(authority) ?? [];
  const host = decodePercent(bracketed ?? plain ?? "");
  if (host === "" || host.startsWith("-"))
    throw new BadStoreUri(uri, `${JSON.stringify(host)} is not the name of a host`);
  if (/[\s'"\\;&|<>$`]/.test(host))
    throw new BadStoreUri(uri, `the host ${JSON.stringify(host)} has characters that no name has`);
  const parameters = parseParameters(query ?? "");
  const get = (name: string) => parameters.get(name) || undefined;
  const protocol = ng === undefined ? "serve" : "worker";
  const program = get("remote-program");
  return {
    name: `ssh${ng ?? ""}://${authority}`,
    isHere: authority === "localhost",
    protocol,
    host,
    port: port === undefined ? undefined : Number(port),
    user: user === undefined ? undefined : decodePercent(user),
    sshKey: get("ssh-key"),
    hostKey: decodeHostKey(uri, get("base64-ssh-public-host-key")),
    compress: isTrue(get("compress")),
    program: protocol === "serve" ? `${program ?? "nix-store"} --serve --write` : `${program ?? "nix-daemon"} --stdio`,
    remoteStore: get("remote-store"),
    maxConnections: number(uri, "max-connections", get("max-connections")),
    priority: number(uri, "priority", get("priority")),
    trusted: isTrue(get("trusted")),
  };
}

/** For a shell. */
export function remoteCommand({ program, remoteStore }: Pick<RemoteStoreAddress, "program" | "remoteStore">): string {
  return remoteStore === undefined ? program : `${program} --store ${quoteForShell(remoteStore)}`;
}

export function quoteForShell(text: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function parseParameters(query: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const pair of query.split("&")) {
    const equals = pair.indexOf("=");
    if (equals > 0) parameters.set(decodePercent(pair.slice(0, equals)), decodePercent(pair.slice(equals + 1)));
  }
  return parameters;
}

function decodeHostKey(uri: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const key = Buffer.from(text, "base64").toString("latin1").trim();
  if (!/^[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( [^\n]*)?$/.test(key)) {
    throw new BadStoreUri(uri, "base64-ssh-public-host-key is not the base64 of a public host key");
  }
  return key;
}

function isTrue(text: string | undefined): boolean {
  return text === "true" || text === "yes" || text === "1";
}

function number(uri: string, name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,9}$/.test(text)) throw new BadStoreUri(uri, `${name} must be a number, not ${JSON.stringify(text)}`);
  return Number(text);
}

function decodePercent(text: string): string {
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
