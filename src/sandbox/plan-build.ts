/**
 * Everything that a builder inherits across execve(2), as a list of calls in the order in which they can be made. A call
 * that fails ends the list: no builder runs with less isolation than it was given.
 */
import type { BuilderSpec } from "../store/builder-runner.ts";
import { dropCapabilities, setGroup, setSupplementaryGroups, setUser } from "../sys/credential-calls.ts";
import { inheritFileLimit } from "../sys/inherited-limit.ts";
import { scopeAbstractSockets } from "../sys/network-calls.ts";
import type { PlannedCall } from "../sys/planned-calls.ts";
import {
  addPersona,
  changeDirectory,
  dieWithParent,
  disableCoreDumps,
  giveUpNewPrivileges,
  setUmask,
} from "../sys/process-calls.ts";
import { installSyscallFilter } from "../sys/syscall-filter.ts";
import type { BuilderIds } from "./builder-ids.ts";
import type { SetupCall } from "./impossible.ts";
import { personaFor } from "./persona.ts";
import { planRoot } from "./plan-root.ts";
import { builderSyscallFilter } from "./refused-calls.ts";
import { reportReady } from "./channel.ts";

/** For a process in the namespaces of the sandbox, if there is one; `detachedRoot` as in planRoot. @throws SystemError when a path of the host is missing */
export function planBuild(spec: BuilderSpec, ids: BuilderIds, detachedRoot: number | undefined): SetupCall[] {
  const { isolation, buildDir, system } = spec;
  const sandboxed = isolation.kind === "sandbox";
  const kernel = spec.impersonateLinux26 ? "2.6" : "real";
  return [
    setUmask(0o022),
    ...(sandboxed ? planRoot(isolation, buildDir, ids, detachedRoot) : []),
    ...(spec.allowNewPrivileges ? [] : [giveUpNewPrivileges()]),
    ...(sandboxed && isolation.network === "host" ? scopeAbstractSockets() : []),
    ...filterCalls(spec),
    ...becomeBuilder(spec, ids),
    ...(sandboxed ? [dropCapabilities()] : []),
    changeDirectory(sandboxed ? isolation.buildDirInside : buildDir),
    addPersona(personaFor(system, process.arch, kernel)),
    disableCoreDumps(),
    ...inheritFileLimit(),
    dieWithParent(), // forgotten when the user changed
    reportReady(), // fails when there is no parent any more
  ];
}

const EACCES = 13;

function filterCalls({ filterSyscalls, allowNewPrivileges, isolation, user }: BuilderSpec): PlannedCall[] {
  if (!filterSyscalls) return [];
  const call = installSyscallFilter(builderSyscallFilter());
  // Who keeps the way to new privileges must have privileges to install a filter.
  const unprivileged = allowNewPrivileges && isolation.kind === "none" && user === undefined;
  return [unprivileged ? { ...call, mayFail: EACCES } : call];
}

function becomeBuilder({ isolation, user }: BuilderSpec, { uid, gid, namespace }: BuilderIds): PlannedCall[] {
  if (isolation.kind === "sandbox") {
    // In a user namespace of its own it has left its groups before.
    const leaveGroups = namespace === "own" ? [] : [setSupplementaryGroups([])];
    return [...leaveGroups, setGroup(gid), setUser(uid)];
  }
  if (user === undefined) return [];
  return [setSupplementaryGroups(user.supplementaryGids), setGroup(user.gid), setUser(user.uid)];
}
