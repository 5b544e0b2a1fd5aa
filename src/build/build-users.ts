/**
 * Build users: the members of `build-users-group`, each of which runs one build at a time on this machine. The lock is the
 * file `userpool/<uid>` of the state directory, as in Nix (store-layout, "User pool").
 */
import { close } from "../sys/descriptor.ts";
import { openLockFile, tryLock } from "../sys/file-lock.ts";
import { mkdirs } from "../sys/names.ts";
import { findGroup, findUser, groups } from "../sys/user-database.ts";
import type { BuildUser } from "../store/builder-runner.ts";
import { BuildFailure } from "./build-failure.ts";

export interface TakenUser {
  readonly user: BuildUser;
  release(): void;
}

/** Users that this process holds: flock would not tell two open files of ours apart from two processes. */
const held = new Set<number>();

/** A free user of the group, or undefined when all are busy. @throws BuildFailure for a group that cannot be used */
export function tryTakeBuildUser(stateDir: string, groupName: string): TakenUser | undefined {
  const group = findGroup(groupName);
  const fail = (reason: string): never => {
    throw new BuildFailure("misc-failure", reason);
  };
  if (group === undefined) return fail(`the group '${groupName}' specified in 'build-users-group' does not exist`);
  if (group.members.length === 0) return fail(`the build users group '${groupName}' has no members`);
  mkdirs(`${stateDir}/userpool`);
  for (const name of group.members) {
    const user = findUser(name);
    if (user === undefined) return fail(`the user '${name}' in the group '${groupName}' does not exist`);
    if (user.uid === 0 || user.uid === process.geteuid!()) {
      return fail(`the Nix user should not be a member of '${groupName}'`);
    }
    if (held.has(user.uid)) continue;
    const fd = openLockFile(`${stateDir}/userpool/${user.uid}`);
    if (!tryLock(fd, "exclusive")) {
      close(fd);
      continue;
    }
    held.add(user.uid);
    const supplementaryGids = [user.gid, ...supplementaryGroups(name, user.gid)];
    return {
      user: { name, uid: user.uid, gid: group.gid, supplementaryGids },
      release() {
        held.delete(user.uid);
        close(fd);
      },
    };
  }
  return undefined;
}

function supplementaryGroups(name: string, primary: number): number[] {
  return groups()
    .filter((group) => group.gid !== primary && group.members.includes(name))
    .map((group) => group.gid);
}
