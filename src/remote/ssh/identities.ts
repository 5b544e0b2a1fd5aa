/**
 * How to prove who we are: keys of the agent and private key files, in the order of OpenSSH: keys of the agent that belong to the files first, then the
 * agent's others, then the files. Files with a passphrase serve through an agent only, since nobody is there to ask.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import type { AuthMethod, BaseAgent, ParsedKey, PublicKey } from "ssh2";
import type { SshTarget } from "./ssh-target.ts";

/** What was found and what was not, for the message when nothing helps. */
export interface Identities {
  readonly methods: readonly AuthMethod[];
  readonly notes: readonly string[];
}

type Ssh2 = typeof import("ssh2");

/** Files that hold more than this are no keys. Bytes. */
const maxKeySize = 1024 * 1024;

export async function findIdentities(ssh2: Ssh2, target: SshTarget): Promise<Identities> {
  const notes: string[] = [];
  const username = target.user;
  const files = target.identities.map(({ file, explicit }) => readIdentity(ssh2, file, explicit, notes));
  const publics = files.flatMap((each) => (each?.publicKey === undefined ? [] : [each.publicKey]));
  const methods: AuthMethod[] = [];
  const agent = await openAgent(ssh2, target, publics, notes);
  if (agent !== undefined) methods.push({ type: "agent", username, agent });
  for (const each of files) {
    if (each?.key !== undefined) methods.push({ type: "publickey", username, key: each.key });
  }
  return { methods: [{ type: "none", username }, ...methods], notes };
}

interface IdentityFile {
  /** The private key, when it can be used without asking. */
  readonly key: ParsedKey | undefined;
  readonly publicKey: Buffer | undefined;
}

function readIdentity(ssh2: Ssh2, file: string, explicit: boolean, notes: string[]): IdentityFile | undefined {
  const text = readKeyFile(file);
  if (text === undefined) {
    if (explicit) notes.push(`the key file '${file}' cannot be read`);
    return undefined;
  }
  const parsed = parseKey(ssh2, text);
  if (!(parsed instanceof Error)) {
    return { key: parsed.isPrivateKey() ? parsed : undefined, publicKey: parsed.getPublicSSH() };
  }
  if (/passphrase|encrypted/i.test(parsed.message)) {
    notes.push(`the key '${file}' has a passphrase: add it to an agent with ssh-add`);
    const publicText = readKeyFile(`${file}.pub`);
    const publicKey = publicText === undefined ? undefined : parseKey(ssh2, publicText);
    return { key: undefined, publicKey: publicKey instanceof Error ? undefined : publicKey?.getPublicSSH() };
  }
  notes.push(`the key file '${file}' cannot be used: ${parsed.message}`);
  return undefined;
}

function parseKey(ssh2: Ssh2, text: Buffer): ParsedKey | Error {
  const parsed = ssh2.utils.parseKey(text);
  return Array.isArray(parsed) ? parsed[0]! : parsed;
}

function readKeyFile(file: string): Buffer | undefined {
  try {
    const text = readFileSync(file);
    return text.length <= maxKeySize ? text : undefined;
  } catch {
    return undefined;
  }
}

/** The agent with its keys in our order, if it listens and has any that may be offered. */
async function openAgent(
  ssh2: Ssh2,
  { agentSocket, identitiesOnly }: SshTarget,
  publics: readonly Buffer[],
  notes: string[],
): Promise<BaseAgent | undefined> {
  if (agentSocket === undefined || !(await listens(agentSocket))) return undefined;
  const agent = ssh2.createAgent(agentSocket);
  const all = await new Promise<readonly PublicKey[]>((resolve) => {
    agent.getIdentities((error, keys) => {
      if (error) notes.push(`the agent at '${agentSocket}' does not answer: ${error.message}`);
      resolve(keys ?? []);
    });
  });
  const isOurs = (key: PublicKey) => publics.some((each) => each.equals(key.getPublicSSH()));
  const offered = [...all.filter(isOurs), ...(identitiesOnly ? [] : all.filter((key) => !isOurs(key)))];
  if (offered.length === 0) return undefined;
  const chosen: BaseAgent = Object.create(ssh2.BaseAgent.prototype as object);
  chosen.getIdentities = (done) => done(undefined, [...offered]);
  chosen.sign = (key, data, options, done) => agent.sign(key, data, options, done);
  return chosen;
}

/** A socket that nobody listens on any more would make an error of ssh2's, and end the attempt. */
function listens(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket);
    probe.on("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.on("error", () => resolve(false));
  });
}
