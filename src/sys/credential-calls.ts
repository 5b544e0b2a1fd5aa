/**
 * Users, groups and capabilities, as planned calls: credentials(7), capabilities(7). In a process with several threads
 * they change those of the calling one.
 */
import type { PlannedCall } from "./planned-calls.ts";
import { check, tryCall } from "./syscall.ts";

export function setSupplementaryGroups(gids: readonly number[]): PlannedCall {
  return { call: "setgroups", args: [gids.length, idList(gids)], action: "setting the supplementary groups" };
}

/** Real, effective and saved. */
export function setGroup(gid: number): PlannedCall {
  return { call: "setresgid", args: [gid, gid, gid], action: `switching to group ${gid}` };
}

/** Real, effective and saved. */
export function setUser(uid: number): PlannedCall {
  return { call: "setresuid", args: [uid, uid, uid], action: `switching to user ${uid}` };
}

export const CAP_SETGID = 6;
export const CAP_SETUID = 7;
export const CAP_NET_ADMIN = 12;
export const CAP_SYS_ADMIN = 21;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;
const capabilityVersion3 = 0x20080522;

/** Has only these capabilities, and keeps them when it executes a program, whoever it runs as. */
export function keepCapabilities(capabilities: readonly number[]): PlannedCall[] {
  const action = "keeping capabilities";
  return [
    { call: "capset", args: capabilitySets(capabilities), action },
    ...capabilities.map((capability): PlannedCall => {
      return { call: "prctl", args: [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0], action };
    }),
  ];
}

/** Gives up every capability, also those that would pass to the next program: they must be inheritable for that. */
export function dropCapabilities(): PlannedCall {
  return { call: "capset", args: capabilitySets([]), action: "giving up capabilities" };
}

function capabilitySets(capabilities: readonly number[]): Uint8Array[] {
  const header = Buffer.alloc(8); // version, process
  header.writeUInt32LE(capabilityVersion3, 0);
  const data = Buffer.alloc(24); // effective, permitted, inheritable; low halves first
  const mask = capabilities.reduce((sum, capability) => sum + 2 ** capability, 0);
  for (const offset of [0, 4, 8]) data.writeUInt32LE(mask, offset);
  return [header, data];
}

function idList(ids: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from([...ids, 0]).buffer);
}

const maxGroups = 65536;

/** This thread's. @throws SystemError */
export function supplementaryGroups(): number[] {
  const ids = new Uint32Array(maxGroups);
  const count = tryCall("getgroups", maxGroups, new Uint8Array(ids.buffer));
  return [
    ...ids.subarray(
      0,
      check(count, () => "getting the supplementary groups"),
    ),
  ];
}

/** This thread's. @throws SystemError */
export function replaceSupplementaryGroups(gids: readonly number[]): void {
  const result = tryCall("setgroups", gids.length, idList(gids));
  check(result, () => "setting the supplementary groups");
}
