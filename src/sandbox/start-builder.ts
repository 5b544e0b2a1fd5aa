/** Starts a builder, or the stage of a built-in one, in the namespaces that it needs, or says that the kernel forbids them. */
import type { BuilderSpec, BuiltinDownloads } from "../store/builder-runner.ts";
import {
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
} from "../sys/child-process.ts";
import { CAP_NET_ADMIN, CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN, keepCapabilities } from "../sys/credential-calls.ts";
import { close, readSmallFile } from "../sys/descriptor.ts";
import { makeDetachedTmpfs } from "../sys/detached-mount.ts";
import { executeProgram, resetSignals } from "../sys/process-calls.ts";
import { isSystemError } from "../sys/system-error.ts";
import { type BuilderIds, builderIds } from "./builder-ids.ts";
import { orImpossible, SandboxImpossible, type SetupCall } from "./impossible.ts";
import { planBuild } from "./plan-build.ts";
import { type ProcessStart, type StartedProcess, auxiliaryFd, startProcess } from "./start-process.ts";
import { startStage } from "./start-stage.ts";
import type { BuiltinTask, StagedDownloads } from "./stage-task.ts";

export interface BuilderStart extends Pick<ProcessStart, "output" | "channel" | "prepare"> {
  /** Starts a stage, instead of the own executable. */
  readonly stageCommand: readonly string[] | undefined;
}

export interface StartedBuilder extends StartedProcess {
  /** What its stage does itself. */
  readonly stageCalls?: readonly SetupCall[];
}

const sandboxNamespaces = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;

/** @throws SystemError, SandboxImpossible */
export function startBuilder(spec: BuilderSpec, start: BuilderStart): StartedBuilder {
  const { isolation, user } = spec;
  if (isolation.kind === "none") return startWith(spec, start, 0, builderIds(user, "host"));
  const namespaces = sandboxNamespaces | (isolation.network === "private" ? CLONE_NEWNET : 0);
  try {
    return orImpossible(() => startWith(spec, start, namespaces | CLONE_NEWUSER, builderIds(user, "own")));
  } catch (error) {
    // Root can do without a user namespace, but only for a builder that is not root.
    if (!(error instanceof SandboxImpossible) || user === undefined || process.geteuid?.() !== 0) throw error;
    return orImpossible(() => startWith(spec, start, namespaces, builderIds(user, "host")));
  }
}

/** What setting up a sandbox takes. They belong to the user namespace, and mean nothing outside. */
const namespaceCapabilities = [CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_SETUID, CAP_SETGID];

function startWith(spec: BuilderSpec, start: BuilderStart, namespaces: number, ids: BuilderIds): StartedBuilder {
  // Who sets up the root must be known in the namespace that the file system belongs to.
  const strange = spec.isolation.kind === "sandbox" && ids.namespace === "own" && ids.hostUid !== process.geteuid!();
  if (!strange) return startIn(undefined, spec, start, namespaces, ids);
  const root = makeDetachedTmpfs({ mode: "0750", gid: String(ids.hostGid) });
  try {
    return startIn(root, spec, start, namespaces, ids);
  } finally {
    close(root);
  }
}

function startIn(
  root: number | undefined,
  spec: BuilderSpec,
  start: BuilderStart,
  namespaces: number,
  ids: BuilderIds,
): StartedBuilder {
  const plan = planBuild(spec, ids, root === undefined ? undefined : auxiliaryFd);
  const { output, channel, prepare, stageCommand: command } = start;
  const common = {
    output,
    channel,
    life: "with-parent",
    namespaces,
    ids,
    ...(root && { auxiliary: root }),
    ...(prepare && { prepare }),
  } as const;
  const env = [...spec.env].map(([name, value]) => `${name}=${value}`);
  const { program } = spec;
  if (program.kind === "executable") {
    const { path, args } = program;
    const execute = executeProgram(path, [path.slice(path.lastIndexOf("/") + 1), ...args], env);
    return startProcess({ ...common, use: "own", calls: [...plan, ...resetSignals("reset"), execute] });
  }
  // JavaScript takes over before the sandbox is set up: from inside, silo could not be executed.
  const calls = namespaces & CLONE_NEWUSER ? keepCapabilities(namespaceCapabilities) : [];
  const task: BuiltinTask = {
    kind: "builtin",
    calls: plan,
    name: program.name,
    attributes: [...program.attributes],
    downloads: stagedDownloads(program.downloads),
  };
  // The runtime finds its proxy in its own environment.
  const proxies = env.filter((entry) => /^(https?|all|no)_proxy=/i.test(entry));
  const started = startStage(task, { ...common, calls }, { env: proxies, ...(command && { command }) });
  return { ...started, stageCalls: plan };
}

const defaultAttempts = 5;
const maxHostFileSize = 16 * 1024 * 1024;

function stagedDownloads(downloads: BuiltinDownloads = {}): StagedDownloads {
  return {
    netrc: hostFile(downloads.netrcFile),
    certificates: hostFile(downloads.certificateFile),
    hashedMirrors: downloads.hashedMirrors ?? [],
    attempts: downloads.attempts ?? defaultAttempts,
    connectTimeoutSec: downloads.connectTimeoutSec ?? 0,
    userAgentSuffix: downloads.userAgentSuffix ?? "",
  };
}

/** The sandbox does not show these files. Absent ones are common. */
function hostFile(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readSmallFile(path, maxHostFileSize).toString("latin1");
  } catch (error) {
    if (isSystemError(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}
