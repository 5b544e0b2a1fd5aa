/** What the kernel, the users and the processor allow builders. */
import type { Settings } from "../../../formats/settings/settings.ts";
import { readSmallFile } from "../../../sys/descriptor.ts";
import { exists, mayAccess } from "../../../sys/names.ts";
import { isSystemError } from "../../../sys/system-error.ts";
import { findGroup } from "../../../sys/user-database.ts";

export interface Finding {
  /** `limited`: works, with less than there could be. */
  readonly verdict: "good" | "limited" | "bad";
  readonly what: string;
  readonly detail: string;
  readonly remedy?: string;
}

export function machineFindings(settings: Settings): Finding[] {
  const isRoot = process.geteuid?.() === 0;
  return [
    isRoot
      ? { verdict: "good", what: "sandbox", detail: "root may make the namespaces that it takes" }
      : userNamespaces(),
    ...(isRoot ? [buildUsers(settings)] : []),
    sandboxSetting(settings),
    seccomp(),
    kvm(),
    {
      verdict: "good",
      what: "jobs",
      detail: `${settings.get("max-jobs")} builds at once, ${settings.get("cores") || "all"} CPUs each (settings max-jobs and cores)`,
    },
  ];
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

function userNamespaces(): Finding {
  const what = "sandbox without root";
  const forbidden = (detail: string, remedy: string): Finding => ({ verdict: "limited", what, detail, remedy });
  const fallback = "; until then builds run unsandboxed where 'sandbox-fallback = true', and fail where it is false";
  if (!exists("/proc/self/ns/user")) {
    return forbidden("this kernel has no user namespaces", "a kernel built with CONFIG_USER_NS=y has them");
  }
  if (kernelNumber("user/max_user_namespaces") === 0) {
    return forbidden("user namespaces are limited to 0", `as root: sysctl user.max_user_namespaces=15000${fallback}`);
  }
  if (kernelNumber("kernel/unprivileged_userns_clone") === 0) {
    return forbidden(
      "user namespaces are for root only",
      `as root: sysctl kernel.unprivileged_userns_clone=1${fallback}`,
    );
  }
  if (kernelNumber("kernel/apparmor_restrict_unprivileged_userns") === 1) {
    return forbidden(
      "AppArmor restricts user namespaces",
      `as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile for silo${fallback}`,
    );
  }
  return { verdict: "good", what, detail: "user namespaces are allowed" };
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

function sandboxSetting(settings: Settings): Finding {
  const mode = settings.get("sandbox");
  const what = "setting sandbox";
  if (mode === true) return { verdict: "good", what, detail: "all builds are sandboxed" };
  return {
    verdict: "limited",
    what,
    detail: mode === "relaxed" ? "fixed-output and __noChroot builds are not sandboxed" : "builds are not sandboxed",
    remedy: "'sandbox = true' in nix.conf is the default",
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
