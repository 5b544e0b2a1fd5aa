/** `silo shell`: a shell, or a command, in the environment that the builder of something has. */
import { SiloError, UsageError } from "../../error.ts";
import { type ByteString, fromText } from "../../formats/byte-string.ts";
import type { Derivation } from "../../formats/derivation/derivation.ts";
import { knownOutputPath } from "../../formats/derivation/derivation.ts";
import type { DerivedPath } from "../../formats/derivation-outputs.ts";
import { printStorePath, type StorePath } from "../../formats/store-path.ts";
import { isSetup } from "../../recipe/standard-environment.ts";
import type { UserProgram } from "../../sandbox/run-with-store.ts";
import { readDerivation } from "../../store/read-derivation.ts";
import type { Store } from "../../store/store.ts";
import { kindOf } from "../../sys/names.ts";
import { workingDirectory } from "../../sys/working-directory.ts";
import type { Applet } from "../applet.ts";
import { type CommandLine, commandApplet } from "../command-line.ts";
import type { CommandSpec } from "../command-line/option-spec.ts";
import type { Io } from "../io.ts";
import { requireLocal } from "../open-store.ts";
import { buildAndRun, environmentBytes, environmentWords } from "../recipe-programs.ts";
import { openRecipes, type RecipeSession } from "../recipe-session.ts";
import { openSession } from "../session.ts";

const spec: CommandSpec<"command"> = {
  name: "silo shell",
  family: "silo",
  summary: "Start a shell in the environment that a recipe is built in",
  usage: ["[RECIPE[#NAME] | DERIVATION] [-c COMMAND | -- COMMAND ARGUMENTS…]"],
  examples: [
    { does: "Work on ./silo.ts, with its tools and libraries at hand", command: "silo shell" },
    { does: "Only one command", command: "silo shell '#hello' -- make test" },
    { does: "A line for the shell", command: "silo shell -c 'cc --version; echo $CPATH'" },
  ],
  options: {
    command: { letter: "c", operands: ["COMMAND"], help: "A line for the shell, in place of an interactive one" },
  },
};

export const shell: Applet = {
  name: spec.name,
  summary: spec.summary,
  run(args, io) {
    const at = args.indexOf("--" as ByteString);
    const [own, words] = at < 0 ? [args, []] : [args.slice(0, at), args.slice(at + 1)];
    return commandApplet(spec, (line, lineIo) => runShell(line, lineIo, words)).run(own, io);
  },
};

class NoDerivation extends SiloError {
  readonly code = "no-derivation";
}

async function runShell(line: CommandLine<"command">, io: Io, words: readonly ByteString[]): Promise<number> {
  if (line.operands.length > 1) throw new UsageError("'silo shell' takes one recipe; write a command behind '--'");
  const recipes = await openRecipes(openSession(line, io), line.operands);
  const command = commandOf(line, io, words);
  let drv: Derivation | undefined;
  return buildAndRun(
    recipes,
    (store) => {
      drv = derivationOf(recipes, store);
      return inputsOf(drv);
    },
    (store) => programIn(recipes, store, drv!, command, io),
  );
}

function commandOf(line: CommandLine<"command">, io: Io, words: readonly ByteString[]): readonly ByteString[] {
  const text = line.last("command");
  if (text !== undefined && words.length > 0)
    throw new UsageError("'--command' and a command behind '--' exclude each other");
  if (words.length > 0) return words;
  const own = fromText(io.env["SHELL"] || "/bin/sh");
  return text === undefined ? [own] : ["/bin/sh" as ByteString, "-c" as ByteString, text];
}

function derivationOf({ targets, evaluation }: RecipeSession, store: Store): Derivation {
  const { derived, shown } = targets[0]!;
  if (derived.kind === "opaque") throw new NoDerivation(`'${shown}' is no derivation, so nothing builds it`);
  const { drvPath } = derived;
  const known = evaluation.derivations.get(drvPath)?.drv;
  return known ?? readDerivation(store.storeDir, requireLocal(store).realStoreDir, drvPath);
}

function inputsOf(drv: Derivation): DerivedPath[] {
  return [
    ...Array.from(
      drv.inputDrvs,
      ([drvPath, names]): DerivedPath => ({ kind: "built", drvPath, outputs: { kind: "names", names } }),
    ),
    ...Array.from(drv.inputSrcs, (path): DerivedPath => ({ kind: "opaque", path })),
  ];
}

/** The standard environment of recipes prepares itself, as it does for a build. For others, programs of all inputs are in PATH. */
function programIn(
  recipes: RecipeSession,
  store: Store,
  drv: Derivation,
  command: readonly ByteString[],
  io: Io,
): UserProgram {
  const env = environmentBytes(io.env);
  const path = env.get("PATH") ?? "/usr/bin:/bin";
  for (const [name, value] of drv.env) env.set(name, value);
  env.set("PATH", path);
  // What the builder would make goes here, as the store is not for us to write.
  for (const output of drv.outputs.keys()) env.set(output, `${workingDirectory()}/outputs/${output}`);
  env.set("IN_SILO_SHELL", "1");
  const [, setup] = drv.args;
  if (drv.args.length === 2 && isSetup(setup!)) {
    return { path: drv.builder, args: [drv.builder, setup!, ...command], env: environmentWords(env) };
  }
  const directories = inputPaths(recipes, store, drv)
    .filter((input) => kindOf(`${store.local?.realStoreDir ?? store.storeDir}/${input}/bin`) === "directory")
    .map((input) => `${printStorePath(store.storeDir, input)}/bin`);
  env.set("PATH", [...directories, path].join(":"));
  // The shell finds the command in the new PATH.
  const args = ["/bin/sh", "-c", 'exec "$@"', "sh", ...command];
  return { path: "/bin/sh", args, env: environmentWords(env) };
}

function inputPaths({ evaluation }: RecipeSession, store: Store, drv: Derivation): StorePath[] {
  const built = [...drv.inputDrvs].flatMap(([drvPath, names]) => {
    const known = evaluation.derivations.get(drvPath)?.drv.outputs;
    const outputs = store.queryDerivationOutputs(drvPath);
    return [...names].flatMap((name) => {
      const output = known?.get(name);
      return (output === undefined ? undefined : knownOutputPath(output)) ?? outputs.get(name) ?? [];
    });
  });
  return [...drv.inputSrcs, ...built];
}
