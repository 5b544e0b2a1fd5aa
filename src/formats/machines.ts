/**
 * Machines to build on: the setting `builders`, and files such as /etc/nix/machines. Lines (in the setting `;` ends one, too) of columns with white
 * space between them; `-` or nothing is the default; `#` begins a comment; `@FILE` stands for the lines of a file, which may be missing.
 *
 *     1  store URI              without a scheme it is ssh://
 *     2  systems, with commas   the own one
 *     3  private key file       what ssh finds
 *     4  builds at once         1
 *     5  speed factor           1; fractions since Nix 2.15, 0 is 1
 *     6  features it has        none; a build that requires others goes elsewhere
 *     7  features it insists on none; a build must require all of these
 *     8  public host key, in base64 (the line `ssh-ed25519 AAAA…` encoded once more)
 *
 * The files of 1.7 are the first seven columns, with a host instead of a URI. See the Nix manual, "Remote Builds".
 */
import { SiloError } from "../error.ts";
import type { ByteString } from "./byte-string.ts";

export interface Machine {
  /** As Nix prints it, such as `ssh://builder@mac`. */
  readonly uri: string;
  readonly systems: readonly string[];
  readonly sshKey: string | undefined;
  readonly maxJobs: number;
  readonly speedFactor: number;
  readonly supportedFeatures: readonly string[];
  readonly mandatoryFeatures: readonly string[];
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string | undefined;
}

export class BadMachine extends SiloError {
  readonly code = "bad-machine";
  constructor(
    readonly line: string,
    readonly reason: string,
  ) {
    super(`bad machine specification: ${reason} in ${JSON.stringify(line)}`);
  }
}

/** How deep files may include files: more is a loop. */
const maxDepth = 16;

/**
 * @param ownSystem what a machine without systems has
 * @param readFile the contents of a file, undefined where there is none
 * @throws BadMachine
 */
export function parseMachines(
  text: ByteString,
  ownSystem: string,
  readFile: (path: ByteString) => ByteString | undefined,
): Machine[] {
  return machineLines(text, readFile, 0).map((line) => parseMachine(line, ownSystem));
}

/** What a build asks of a machine. */
export interface MachineRequirements {
  readonly system: string;
  readonly features: readonly string[];
}

/** May the machine do such a build? `builtin` is a system of every machine. */
export function isEligible(machine: Machine, { system, features }: MachineRequirements): boolean {
  return (
    (system === "builtin" || machine.systems.includes(system)) &&
    features.every((each) => machine.supportedFeatures.includes(each) || machine.mandatoryFeatures.includes(each)) &&
    machine.mandatoryFeatures.every((each) => features.includes(each))
  );
}

/** A machine with a free slot, and how many of its slots are taken. */
export interface MachineLoad {
  readonly machine: Machine;
  readonly load: number;
}

/** The best of machines that could all do it: least load for its speed, then the fastest, then the least loaded, then the first. */
export function bestMachine<M extends MachineLoad>(candidates: readonly M[]): M | undefined {
  let best: M | undefined;
  for (const candidate of candidates) if (best === undefined || isBetter(candidate, best)) best = candidate;
  return best;
}

function isBetter(a: MachineLoad, b: MachineLoad): boolean {
  const relative = a.load / a.machine.speedFactor - b.load / b.machine.speedFactor;
  if (relative !== 0) return relative < 0;
  if (a.machine.speedFactor !== b.machine.speedFactor) return a.machine.speedFactor > b.machine.speedFactor;
  return a.load < b.load;
}

function machineLines(text: string, readFile: (path: ByteString) => ByteString | undefined, depth: number): string[] {
  const lines: string[] = [];
  for (const raw of text.split(/[\n;]/)) {
    const line = raw.replace(/#.*/, "").trim();
    if (line === "") continue;
    if (!line.startsWith("@")) lines.push(line);
    else if (depth >= maxDepth) throw new BadMachine(line, `files include each other, ${maxDepth} deep`);
    else lines.push(...machineLines(readFile(line.slice(1).trim() as ByteString) ?? "", readFile, depth + 1));
  }
  return lines;
}

function parseMachine(line: string, ownSystem: string): Machine {
  const columns = line.split(/\s+/);
  const column = (n: number): string | undefined => {
    const text = columns[n - 1];
    return text === undefined || text === "" || text === "-" ? undefined : text;
  };
  const list = (n: number) => (column(n) ?? "").split(",").filter((each) => each !== "");
  const uri = column(1);
  if (uri === undefined) throw new BadMachine(line, "store URI is missing");
  const systems = list(2);
  return {
    uri: machineUri(uri),
    systems: systems.length > 0 ? systems : [ownSystem],
    sshKey: column(3),
    maxJobs: parseNumber(line, 4, column(4), /^[0-9]{1,9}$/),
    speedFactor: parseNumber(line, 5, column(5), /^[0-9]{1,9}(\.[0-9]{1,9})?$/) || 1,
    supportedFeatures: list(6),
    mandatoryFeatures: list(7),
    hostKey: parseHostKey(line, column(8)),
  };
}

/** Names of hosts, with or without user, are of ssh. */
function machineUri(text: string): string {
  if (text.includes("://") || text.includes("/")) return text;
  return /^(auto|daemon|local)($|\?)/.test(text) ? text : `ssh://${text}`;
}

function parseNumber(line: string, column: number, text: string | undefined, pattern: RegExp): number {
  if (text === undefined) return 1;
  if (!pattern.test(text))
    throw new BadMachine(line, `failed to convert column #${column}, ${JSON.stringify(text)}, to a number`);
  return Number(text);
}

function parseHostKey(line: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (!/^[A-Za-z0-9+/]+=*$/.test(text) || text.length % 4 === 1) throw new BadMachine(line, "column #8 is not base64");
  const key = Buffer.from(text, "base64").toString("latin1").trim();
  if (!/^[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( [^\n]*)?$/.test(key)) {
    throw new BadMachine(line, "column #8 is not the base64 of a public host key");
  }
  return key;
}
