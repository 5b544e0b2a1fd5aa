/**
 * Who may use the daemon, and whom it trusts: `allowed-users` and `trusted-users`, which name users, `@group`s, or everybody by `*`. A trusted
 * user may do what root may. The users that builds run as may not connect at all.
 */
import type { Trust } from "../../formats/settings/client-settings.ts";
import type { Settings } from "../../formats/settings/settings.ts";

export interface PeerIdentity {
  readonly uid: number;
  /** The number where the user database knows no name. */
  readonly user: string;
  /** Name of the primary group, or its number. */
  readonly group: string;
}

export type Access =
  | { readonly kind: "allowed"; readonly trust: Trust }
  | { readonly kind: "refused"; readonly reason: string };

/** @param membersOf the users that belong to a group besides those whose primary group it is */
export function decideAccess(
  settings: Settings,
  peer: PeerIdentity,
  membersOf: (group: string) => readonly string[],
): Access {
  const matches = (names: readonly string[]) => names.some((name) => matchesUser(name, peer, membersOf));
  const isTrusted = matches(settings.get("trusted-users"));
  const buildGroup = settings.get("build-users-group");
  const isBuilder = buildGroup !== "" && peer.group === buildGroup;
  if (isBuilder || (!isTrusted && !matches(settings.get("allowed-users"))))
    return { kind: "refused", reason: `user '${peer.user}' is not allowed to connect to the Nix daemon` };
  return { kind: "allowed", trust: isTrusted ? "trusted" : "untrusted" };
}

function matchesUser(name: string, peer: PeerIdentity, membersOf: (group: string) => readonly string[]): boolean {
  if (name === "*" || name === peer.user) return true;
  if (!name.startsWith("@")) return false;
  const group = name.slice(1);
  return group === peer.group || membersOf(group).includes(peer.user);
}
