/** What the kernel, the users and the processor allow builders. */
import type { Settings } from "../../../formats/settings/settings.ts";
import { probeSandbox } from "../../../sandbox/probe-sandbox.ts";
import type { BuildUser } from "../../../store/builder-runner.ts";
import { readSmallFile } from "../../../sys/descriptor.ts";
import { exists, mayAccess } from "../../../sys/names.ts";
import { isSystemError } from "../../../sys/system-error.ts";
import { findGroup, findUser } from "../../../sys/user-database.ts";

export interface Finding {
  /** `limited`: works, with less than there could be. */
  readonly verdict: "good" | "limited" | "bad";
  readonly what: string;
  readonly detail: string;
  readonly remedy?: string;
}

export interface StorePlaces {
  readonly storeDir: string;
  readonly realStoreDir: string;
}

/** @param store where its files are, and what they are called */
export async function machineFindings(settings: Settings, store: StorePlaces): Promise<Finding[]> {
  const refusal = await probeSandbox(firstBuildUser(settings));
  return [
    sandboxSetting(settings, refusal === undefined ? "possible" : "impossible"),
    sandbox(refusal, store),
    ...(process.geteuid?.() === 0 ? [buildUsers(settings)] : []),
    seccomp(),
    kvm(),
    {
      verdict: "good",
      what: "jobs",
      detail: `at most ${settings.get("max-jobs")} at once, with ${settings.get("cores") || "all"} CPUs each (settings max-jobs and cores)`,
    },
  ];
}

function firstBuildUser(settings: Settings): BuildUser | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  const group = findGroup(settings.get("build-users-group"));
  const user = group?.members.map(findUser).find((found) => found !== undefined);
  return group && user && { name: user.name, uid: user.uid, gid: group.gid, supplementaryGids: [] };
}

/** A number in a file below /proc/sys; undefined where the kernel has none. */
function kernelNumber(name: string): number | undefined {
  try {
    return Number(readSmallFile(`/proc/sys/${name}`, 64).toString("latin1"));
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

function sandbox(refusal: string | undefined, { storeDir, realStoreDir }: StorePlaces): Finding {
  const what = "namespaces";
  if (refusal === undefined) return { verdict: "good", what, detail: "builders get their own, as a sandbox takes" };
  const { detail, remedy } = obstacle(refusal);
  if (storeDir === realStoreDir) {
    const meanwhile = "until then builds run unsandboxed where 'sandbox-fallback = true', as it is by default";
    return { verdict: "limited", what, detail, remedy: `${remedy}; ${meanwhile}` };
  }
  const consequence = `so builders cannot be shown '${realStoreDir}' as '${storeDir}', and nothing can be built`;
  const other = "NIX_REMOTE='local?store=DIRECTORY&state=DIRECTORY&log=DIRECTORY'";
  const instead = `or, with store paths that other machines do not share, ${other}`;
  return { verdict: "bad", what, detail: `${detail}, ${consequence}`, remedy: `${remedy}; ${instead}` };
}

/** What stands in the way of a sandbox that the kernel refused. */
function obstacle(refusal: string): { readonly detail: string; readonly remedy: string } {
  if (!exists("/proc/self/ns/user")) {
    return { detail: "this kernel has no user namespaces", remedy: "a kernel built with CONFIG_USER_NS=y has them" };
  }
  if (kernelNumber("user/max_user_namespaces") === 0) {
    return { detail: "user namespaces are limited to 0", remedy: "as root: sysctl user.max_user_namespaces=15000" };
  }
  if (kernelNumber("kernel/unprivileged_userns_clone") === 0) {
    const remedy = "as root: sysctl kernel.unprivileged_userns_clone=1";
    return { detail: "user namespaces are for root only", remedy };
  }
  if (kernelNumber("kernel/apparmor_restrict_unprivileged_userns") === 1) {
    const remedy = "as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile for silo";
    return { detail: "AppArmor restricts user namespaces", remedy };
  }
  return {
    detail: `the kernel, or the container that this is, allows no sandbox (${refusal})`,
    remedy: "start the container with more privileges, such as 'docker run --privileged'",
  };
}

function buildUsers(settings: Settings): Finding {
  const what = "build users";
  const name = settings.get("build-users-group");
  if (name === "") {
    return {
      verdict: "limited",
      what,
      detail: "builders run as root, sandboxed or not, as 'build-users-group' is empty",
      remedy: "'silo install' makes a group of build users and sets it",
    };
  }
  const group = findGroup(name);
  if (group === undefined || group.members.length === 0) {
    return {
      verdict: "bad",
      what,
      detail: group === undefined ? `the group '${name}' does not exist` : `the group '${name}' has no members`,
      remedy: "'silo install' makes it, or set 'build-users-group =' in nix.conf",
    };
  }
  return {
    verdict: "good",
    what,
    detail: `${group.members.length} in the group '${name}': as many builds at once as root`,
  };
}

function sandboxSetting(settings: Settings, sandbox: "possible" | "impossible"): Finding {
  const mode = settings.get("sandbox");
  const what = "sandbox";
  if (mode === true) {
    return sandbox === "possible"
      ? { verdict: "good", what, detail: "all builds are sandboxed" }
      : { verdict: "limited", what, detail: "'sandbox = true' is set, and this machine allows none" };
  }
  return {
    verdict: "limited",
    what,
    detail: mode === "relaxed" ? "fixed-output and __noChroot builds are not sandboxed" : "builds are not sandboxed",
    remedy: `'sandbox = true' in nix.conf is the default, and ${sandbox} here`,
  };
}

function seccomp(): Finding {
  const what = "system call filter";
  if (exists("/proc/sys/kernel/seccomp")) return { verdict: "good", what, detail: "builders cannot make set-id files" };
  return {
    verdict: "limited",
    what,
    detail: "this kernel has no seccomp filters",
    remedy: "builds need 'filter-syscalls = false' here",
  };
}

function kvm(): Finding {
  const what = "virtual machines in builds (feature kvm)";
  const readAndWrite = 6;
  if (mayAccess("/dev/kvm", readAndWrite)) return { verdict: "good", what, detail: "/dev/kvm can be used" };
  return {
    verdict: "limited",
    what,
    detail: exists("/dev/kvm") ? "no permission to use /dev/kvm" : "there is no /dev/kvm",
    ...(exists("/dev/kvm") ? { remedy: "add yourself to the group that owns /dev/kvm" } : {}),
  };
}
