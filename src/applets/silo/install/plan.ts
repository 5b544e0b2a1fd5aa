/**
 * What installing makes, as a list that can be shown, carried out, written down, and undone. Nothing that is there
 * already is touched, except files that an earlier installation made.
 */
import { dirname } from "node:path";
import { SiloError } from "../../../error.ts";

export type InstallStep =
  | { readonly kind: "directory"; readonly path: string }
  | { readonly kind: "executable"; readonly path: string; readonly source: string }
  | { readonly kind: "file"; readonly path: string; readonly contents: string; readonly mode: number }
  /** Left alone when it is there: it is the administrator's. */
  | { readonly kind: "configuration"; readonly path: string; readonly contents: string }
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | { readonly kind: "group"; readonly name: string }
  | { readonly kind: "user"; readonly name: string; readonly group: string };

export class CannotInstall extends SiloError {
  readonly code = "cannot-install";
}

export interface InstallContext {
  /** Where `bin` and `share` are. */
  readonly prefix: string;
  /** The running executable. */
  readonly executable: string;
  /** As root the machine is set up, too: build users, units, configuration. */
  readonly scope: "machine" | "user";
  readonly confDir: string;
  readonly unitDir: string;
  readonly nixPrograms: readonly string[];
  readonly completions: Readonly<Record<"bash" | "zsh" | "fish", string>>;
  readonly manual: string;
  readonly units: Readonly<Record<string, string>>;
  readonly buildUsers: number;
}

/** Build users are called as every Nix calls them, so that both can use them. */
export const buildGroup = "nixbld";

export function installPlan(context: InstallContext): InstallStep[] {
  const { prefix, executable } = context;
  const share = `${prefix}/share`;
  const files: InstallStep[] = [
    { kind: "executable", path: `${prefix}/bin/silo`, source: executable },
    ...context.nixPrograms.map(
      (name): InstallStep => ({ kind: "link", path: `${prefix}/bin/${name}`, target: "silo" }),
    ),
    text(`${share}/bash-completion/completions/silo`, context.completions.bash),
    text(`${share}/zsh/site-functions/_silo`, context.completions.zsh),
    text(`${share}/fish/vendor_completions.d/silo.fish`, context.completions.fish),
    text(`${share}/man/man1/silo.1`, context.manual),
  ];
  return withDirectories([...files, ...(context.scope === "machine" ? machineSteps(context) : [])]);
}

function machineSteps({ confDir, unitDir, units, buildUsers }: InstallContext): InstallStep[] {
  return [
    { kind: "group", name: buildGroup },
    ...Array.from(
      { length: buildUsers },
      (_, i): InstallStep => ({ kind: "user", name: `${buildGroup}${i + 1}`, group: buildGroup }),
    ),
    { kind: "configuration", path: `${confDir}/nix.conf`, contents: `build-users-group = ${buildGroup}\n` },
    ...Object.entries(units).map(([name, contents]) => text(`${unitDir}/${name}`, contents)),
  ];
}

function text(path: string, contents: string): InstallStep {
  return { kind: "file", path, contents, mode: 0o644 };
}

/** Puts the directories that lead to a file in front of it, each once. */
function withDirectories(steps: readonly InstallStep[]): InstallStep[] {
  const made = new Set<string>(["/"]);
  return steps.flatMap((step): InstallStep[] => {
    if (!("path" in step)) return [step];
    const directories: InstallStep[] = [];
    for (let path = dirname(step.path); !made.has(path); path = dirname(path)) {
      made.add(path);
      directories.unshift({ kind: "directory", path });
    }
    return [...directories, step];
  });
}

export function describeStep(step: InstallStep): string {
  switch (step.kind) {
    case "directory":
      return `make the directory ${step.path}`;
    case "executable":
      return `copy the executable to ${step.path}`;
    case "file":
      return `write ${step.path}`;
    case "configuration":
      return `write ${step.path}, unless it is there`;
    case "link":
      return `link ${step.path} to ${step.target}`;
    case "group":
      return `make the group ${step.name}`;
    case "user":
      return `make the user ${step.name} in the group ${step.group}`;
  }
}

/** What the step is about. */
export function subjectOf(step: InstallStep): string {
  switch (step.kind) {
    case "directory":
      return `the directory ${step.path}`;
    case "group":
    case "user":
      return `the ${step.kind} ${step.name}`;
    default:
      return step.path;
  }
}
