/**
 * `shellBuild`, `runCommand` and `textFile`: derivations whose builder is a shell that runs {@link setupScript}, which is itself a source
 * in the store. What they use of the machine (the shell, the compiler) is declared as `__impureHostDeps`, as in Nix.
 */
import type { StorePath } from "../formats/store-path.ts";
import { checkOptions, describe, type OptionTable } from "./check-options.ts";
import type { Evaluation, KnownDerivation } from "./evaluation.ts";
import { makeDerivation } from "./make-derivation.ts";
import { makeText } from "./make-source.ts";
import { RecipeError } from "./recipe-error.ts";
import setupScript from "./setup.sh" with { type: "text" };
import { sourceObject } from "./store-object.ts";

/** The script is the same for all derivations of an evaluation. */
const setups = new WeakMap<Evaluation, StorePath>();

const setupName = "silo-setup.sh";

/** Is this argument of a builder the script of the standard environment? With a command behind it, it runs that. */
export function isSetup(argument: string): boolean {
  return argument.endsWith(`-${setupName}`);
}

/** Where machines have programs and what those need. */
export const hostPaths: readonly string[] = ["/bin", "/usr", "/lib", "/lib64", "/etc/alternatives"];

const shellOptions = {
  outputs: "strings",
  system: "string",
  tools: "list",
  libraries: "list",
  env: "record",
  hostPaths: "strings",
  hostPath: "strings",
  shell: "value",
} as const;

const phases = [
  "unpackPhase",
  "patchPhase",
  "configurePhase",
  "buildPhase",
  "checkPhase",
  "installPhase",
  "fixupPhase",
];

const buildOptions: OptionTable = {
  ...shellOptions,
  name: "string",
  src: "value",
  patches: "list",
  configureFlags: "list",
  makeFlags: "list",
  installFlags: "list",
  doCheck: "boolean",
  ...Object.fromEntries(phases.map((phase) => [phase, "string"])),
};

/** @throws RecipeError */
export function makeShellBuild(evaluation: Evaluation, given: unknown): KnownDerivation {
  const options = checkOptions("shellBuild", given, buildOptions, ["name"]);
  const variables: Record<string, unknown> = {};
  for (const name of ["src", "patches", "configureFlags", "makeFlags", "installFlags", "doCheck", ...phases]) {
    if (options[name] !== undefined) variables[name] = options[name];
  }
  return makeShellDerivation(evaluation, "shellBuild", options["name"] as string, options, variables);
}

/** @throws RecipeError */
export function makeRunCommand(
  evaluation: Evaluation,
  name: unknown,
  script: unknown,
  given: unknown = {},
): KnownDerivation {
  if (typeof name !== "string") throw new RecipeError(`runCommand: the name must be a string, not ${describe(name)}`);
  if (typeof script !== "string") {
    throw new RecipeError(`runCommand '${name}': the script must be a string, not ${describe(script)}`);
  }
  const options = checkOptions("runCommand", given, shellOptions, []);
  return makeShellDerivation(evaluation, "runCommand", name, options, { buildCommand: script });
}

/** @throws RecipeError */
export function makeTextFile(
  evaluation: Evaluation,
  name: unknown,
  contents: unknown,
  given: unknown = {},
): KnownDerivation {
  if (typeof name !== "string") throw new RecipeError(`textFile: the name must be a string, not ${describe(name)}`);
  if (typeof contents !== "string") {
    throw new RecipeError(`textFile '${name}': the contents must be a string, not ${describe(contents)}`);
  }
  const { executable = false } = checkOptions("textFile", given, { executable: "boolean" }, []);
  const chmod = executable ? `\nchmod +x "$out"` : "";
  return makeShellDerivation(
    evaluation,
    "textFile",
    name,
    {},
    {
      contents,
      passAsFile: ["contents"], // a variable has room for 128 KiB
      buildCommand: `cat "$contentsPath" >"$out"${chmod}`,
      preferLocalBuild: true,
    },
  );
}

function makeShellDerivation(
  evaluation: Evaluation,
  what: string,
  name: string,
  options: Readonly<Record<string, unknown>>,
  variables: Readonly<Record<string, unknown>>,
): KnownDerivation {
  const own = {
    ...variables,
    shell: options["shell"] ?? "/bin/sh",
    tools: options["tools"] ?? [],
    libraries: options["libraries"] ?? [],
    hostPath: options["hostPath"] ?? ["/usr/bin", "/bin"],
    __impureHostDeps: options["hostPaths"] ?? hostPaths,
  };
  const env = (options["env"] ?? {}) as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(env)) {
    if (Object.hasOwn(own, key))
      throw new RecipeError(`${what} '${name}': '${key}' is an option of its own; it does not go into 'env'`);
  }
  const setup = setups.get(evaluation) ?? makeText(evaluation, setupName, setupScript);
  setups.set(evaluation, setup);
  const { outputs, system } = options;
  return makeDerivation(evaluation, {
    name,
    builder: own.shell,
    args: ["-e", sourceObject(evaluation, setup)],
    ...(outputs === undefined ? {} : { outputs }),
    ...(system === undefined ? {} : { system }),
    env: { ...own, ...env },
  });
}
