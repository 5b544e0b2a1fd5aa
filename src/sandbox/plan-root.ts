/**
 * What a sandbox shows: mounts, devices, names and a few files, as calls for a process in namespaces of its own. Its
 * root is in memory, with the store and /tmp on disk. All of it goes away with the last process of the namespaces, so
 * nothing is ever unmounted.
 */
import { compareBytes, fromText } from "../formats/byte-string.ts";
import type { Isolation, SandboxPath } from "../store/builder-runner.ts";
import {
  attachMount,
  bindMount,
  changeMode,
  enterRootCalls,
  makeDirectory,
  makeEmptyFile,
  makeFile,
  makeMountsPrivate,
  makeReadOnly,
  makeSymlink,
  mountFileSystem,
} from "../sys/mount-calls.ts";
import { readDirectory } from "../sys/directory.ts";
import { exists, readlink } from "../sys/names.ts";
import { bringLoopbackUp, setNames } from "../sys/network-calls.ts";
import type { PlannedCall } from "../sys/planned-calls.ts";
import { lstat, type Stat, tryStat } from "../sys/stat.ts";
import { SystemError } from "../sys/system-error.ts";
import type { BuilderIds } from "./builder-ids.ts";
import { mayBeForbidden, type SetupCall } from "./impossible.ts";
import { rootParts } from "./sandbox-root.ts";

export type Sandbox = Extract<Isolation, { kind: "sandbox" }>;

const ENOENT = 2;

/**
 * Ends in the root directory of the sandbox. `detachedRoot`: descriptor of a file system to be its root; a tmpfs of its
 * own when undefined. @throws SystemError when a path of the host is missing
 */
export function planRoot(
  sandbox: Sandbox,
  buildDir: string,
  ids: BuilderIds,
  detachedRoot: number | undefined,
): SetupCall[] {
  const { storeDir, buildDirInside, network } = sandbox;
  const { root, store, tmp } = rootParts(sandbox);
  const shows = (target: string) => sandbox.extraPaths.some((path) => path.target === target);
  const ownDevices = !shows("/dev");
  const hostPaths = [
    ...sandbox.extraPaths,
    ...(network === "host" ? hostNetworkFiles : []),
    ...(ownDevices ? deviceMounts(sandbox.kvm) : []),
  ];
  const mounts = [
    builders(store, storeDir),
    builders(tmp, "/tmp"),
    builders(buildDir, buildDirInside),
    ...hostPaths.map((path) => hosts(path, ids)),
  ];
  return [
    ...(network === "private" ? bringLoopbackUp() : []),
    ...setNames("localhost", "(none)").map(mayBeForbidden),
    mayBeForbidden(makeMountsPrivate()),
    mayBeForbidden(
      detachedRoot === undefined
        ? mountFileSystem("tmpfs", root, `mode=0750,gid=${ids.gid}`)
        : attachMount(detachedRoot, root),
    ),
    ...accountFiles(root, sandbox, ids),
    ...(ownDevices ? deviceNames(root) : []),
    ...showPaths(root, mounts),
    ...showInputs(root, sandbox),
    makeDirectory(`${root}/proc`, 0o755),
    mayBeForbidden(mountFileSystem("proc", `${root}/proc`, "")),
    ...(ids.hostUid === 0 ? protectKernel(`${root}/proc`) : []),
    ...(ownDevices ? deviceFileSystems(root, sandbox, shows("/dev/pts") || shows("/dev/ptmx")) : []),
    changeMode(`${root}/etc`, 0o555), // nobody adds files there during the build
    ...enterRootCalls(root),
  ];
}

/** Programs that look a user or group up find the builder's, root and nobody: passwd(5), group(5), hosts(5). */
function accountFiles(root: string, sandbox: Sandbox, { uid, gid }: BuilderIds): PlannedCall[] {
  const { network, buildDirInside: home } = sandbox;
  const etc = `${root}/etc`;
  const file = (name: string, ...lines: string[]) => {
    return makeFile(`${etc}/${name}`, Buffer.from(fromText(lines.map((line) => `${line}\n`).join("")), "latin1"));
  };
  return [
    makeDirectory(etc, 0o755),
    ...file(
      "passwd",
      `root:x:0:0:Nix build user:${home}:/noshell`,
      `nixbld:x:${uid}:${gid}:Nix build user:${home}:/noshell`,
      "nobody:x:65534:65534:Nobody:/:/noshell",
    ),
    ...file("group", "root:x:0:", `nixbld:!:${gid}:`, "nogroup:x:65534:"),
    ...(network === "private"
      ? file("hosts", "127.0.0.1 localhost", "::1 localhost")
      : file("nsswitch.conf", "hosts: files dns", "services: files")),
  ];
}

/** With the host's network, names are resolved as on the host. */
const hostNetworkFiles = ["/etc/resolv.conf", "/etc/services", "/etc/hosts"].map((path): SandboxPath => {
  return { source: path, target: path, ifMissing: "skip" };
});

/**
 * The closure of the inputs is all of the store that the builder sees, and it cannot change it, whoever it runs as. As
 * each is a mount of its own, a hard link to a file in one of them cannot be made either.
 */
function showInputs(root: string, { storeDir, realStoreDir, inputs }: Sandbox): PlannedCall[] {
  const calls: PlannedCall[] = [];
  for (const input of inputs) {
    const source = `${realStoreDir}/${input}`;
    const target = `${root}${storeDir}/${input}`;
    const { kind } = lstat(source);
    // A link itself cannot be mounted.
    if (kind === "symlink") calls.push(makeSymlink(readlink(source), target));
    else calls.push(mountPoint(target, kind), bindMount(source, target), makeReadOnly(target));
  }
  return calls;
}

function mountPoint(path: string, kind: Stat["kind"]): PlannedCall {
  return kind === "directory" ? makeDirectory(path, 0o755) : makeEmptyFile(path);
}

function showPaths(root: string, mounts: readonly ShownPath[]): PlannedCall[] {
  const binds: PlannedCall[] = [];
  const protections: PlannedCall[] = [];
  const made = new Set<string>();
  // A directory comes before what is mounted below it.
  for (const { source, target, ifMissing, protect } of [...mounts].sort((a, b) => compareBytes(a.target, b.target))) {
    if (source === "/proc") continue; // there is always one, and it is the sandbox's own
    const status = tryStat(source);
    if (status === undefined) {
      if (ifMissing === "skip") continue;
      throw new SystemError(`getting attributes of path '${source}'`, ENOENT);
    }
    const place = `${root}${target}`;
    for (let slash = target.indexOf("/", 1); slash > 0; slash = target.indexOf("/", slash + 1)) {
      const parent = target.slice(0, slash);
      if (!made.has(parent)) binds.push(makeDirectory(`${root}${parent}`, 0o755));
      made.add(parent);
    }
    binds.push(mountPoint(place, status.kind), bindMount(source, place));
    if (protect(status)) protections.push(makeReadOnly(place));
  }
  return [...binds, ...protections];
}

interface ShownPath extends SandboxPath {
  /** Is it to be shown read-only, seeing its status? */
  readonly protect: (status: Stat) => boolean;
}

const builders = (source: string, target: string): ShownPath => {
  return { source, target, ifMissing: "fail", protect: () => false };
};

/**
 * Permissions keep a build user from what is root's, but not a builder that is root itself on the host. A device that is
 * shown read-only can still be written to, but keeps its mode and owner.
 */
function hosts(path: SandboxPath, { hostUid }: BuilderIds): ShownPath {
  const protect = ({ kind, uid, mode }: Stat) => {
    if (kind === "regular") return true;
    return hostUid === 0 && uid === 0 && (kind !== "directory" || (mode & 0o022) === 0);
  };
  return { ...path, protect };
}

let kernelFiles: readonly string[] | undefined;

/**
 * Who is root on the host may change the kernel's settings, even without any capability, and so take over the machine.
 * What belongs to no process in /proc is shown read-only then.
 */
function protectKernel(proc: string): PlannedCall[] {
  kernelFiles ??= readDirectory("/proc").flatMap(({ name, kind }) => {
    if (/^[0-9]+$/.test(name)) return [];
    const writable = kind === "directory" || (kind === "regular" && (lstat(`/proc/${name}`).mode & 0o222) !== 0);
    return writable ? [name] : [];
  });
  return kernelFiles.flatMap((name) => [
    bindMount(`${proc}/${name}`, `${proc}/${name}`),
    makeReadOnly(`${proc}/${name}`),
  ]);
}

function deviceMounts(kvm: Sandbox["kvm"]): SandboxPath[] {
  const device = (name: string, ifMissing: SandboxPath["ifMissing"]): SandboxPath => {
    return { source: `/dev/${name}`, target: `/dev/${name}`, ifMissing };
  };
  const devices = ["full", "null", "random", "tty", "urandom", "zero"].map((name) => device(name, "fail"));
  return kvm === "show" ? [...devices, device("kvm", "skip")] : devices;
}

function deviceNames(root: string): PlannedCall[] {
  const dev = `${root}/dev`;
  return [
    ...[dev, `${dev}/shm`, `${dev}/pts`].map((path) => makeDirectory(path, 0o755)),
    makeSymlink("/proc/self/fd", `${dev}/fd`),
    ...["stdin", "stdout", "stderr"].map((name, fd) => makeSymlink(`/proc/self/fd/${fd}`, `${dev}/${name}`)),
  ];
}

/** Shared memory, and terminals that only the sandbox knows. */
function deviceFileSystems(root: string, { devShmSize }: Sandbox, terminalsShown: boolean): PlannedCall[] {
  const dev = `${root}/dev`;
  const calls: PlannedCall[] = [];
  if (exists("/dev/shm")) calls.push(mountFileSystem("tmpfs", `${dev}/shm`, `size=${devShmSize}`));
  if (terminalsShown || !exists("/dev/pts/ptmx")) return calls;
  calls.push(mountFileSystem("devpts", `${dev}/pts`, "newinstance,mode=0620,ptmxmode=0666"));
  calls.push(makeSymlink("/dev/pts/ptmx", `${dev}/ptmx`));
  return calls;
}
