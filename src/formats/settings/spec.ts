/**
 * One row of the table of settings: kind, default, help, other names, and what a daemon does when a client sets it.
 * The functions write a row of each kind; the text of a default is what one would write in nix.conf and Nix prints.
 */
import type { ByteString } from "../byte-string.ts";
import type { Facts } from "./facts.ts";
import {
  boolKind,
  int64Kind,
  jobsKind,
  type Kind,
  listKind,
  mapKind,
  pathKind,
  type SandboxMode,
  sandboxKind,
  setKind,
  textKind,
  uint32Kind,
  uint64Kind,
} from "./kind.ts";

/**
 * What a daemon does with a value that a client sends by name. The fixed fields at the head of the message are another
 * matter: they apply for every client.
 *
 * - `restricted`: only for trusted clients
 * - `anybody`: for every client
 * - `if-empty`: for trusted clients, and for others when it turns the thing off
 * - `substituters`: others get those that the daemon's own settings name
 * - `never`: not taken from a client, trusted or not
 */
export type ClientRule = "restricted" | "anybody" | "if-empty" | "substituters" | "never";

export interface Spec<T> {
  readonly kind: Kind<T>;
  /** In canonical text, for it is not normalised again. */
  readonly default: string | ((facts: Facts) => string);
  /** One line. */
  readonly help: string;
  /** What Nix 1.7 calls it, when that is another name; accepted, too. */
  readonly oldName?: string;
  /** Further names, of versions in between. */
  readonly aliases?: readonly string[];
  readonly client?: ClientRule;
  /** How documentation words a default that depends on the machine. */
  readonly defaultHelp?: string;
}

type Row<T> = (
  initial: string | ((facts: Facts) => string),
  help: string,
  more?: Partial<Pick<Spec<T>, "oldName" | "aliases" | "client" | "defaultHelp">>,
) => Spec<T>;

export const bool: Row<boolean> = rows(boolKind);
export const sandbox: Row<SandboxMode> = rows(sandboxKind);
export const uint32: Row<number> = rows(uint32Kind);
export const uint64: Row<number> = rows(uint64Kind);
export const int64: Row<number> = rows(int64Kind);
export const jobs: Row<number> = rows(jobsKind);
export const text: Row<ByteString> = rows(textKind);
export const path: Row<ByteString> = rows(pathKind);
export const list: Row<readonly ByteString[]> = rows(listKind);
export const set: Row<readonly ByteString[]> = rows(setKind);
export const map: Row<ReadonlyMap<ByteString, ByteString>> = rows(mapKind);

function rows<T>(kind: Kind<T>): Row<T> {
  return (initial, help, more) => ({ kind, default: initial, help, ...more });
}
