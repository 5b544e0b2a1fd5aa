/** `silo run`: builds something and runs a program of it. */
import { SiloError, UsageError } from "../../error.ts";
import { type ByteString, toText } from "../../formats/byte-string.ts";
import { nameOf, printStorePath, type StorePath } from "../../formats/store-path.ts";
import type { Store } from "../../store/store.ts";
import { readDirectory } from "../../sys/directory.ts";
import { kindOf } from "../../sys/names.ts";
import { tryStat } from "../../sys/stat.ts";
import type { Applet } from "../applet.ts";
import { type CommandLine, commandApplet } from "../command-line.ts";
import type { CommandSpec } from "../command-line/option-spec.ts";
import type { Io } from "../io.ts";
import { buildAndRun, environmentBytes, environmentWords } from "../recipe-programs.ts";
import { openRecipes, outputsOf } from "../recipe-session.ts";
import { openSession } from "../session.ts";

const spec: CommandSpec<"program"> = {
  name: "silo run",
  family: "silo",
  summary: "Build something and run a program of it",
  usage: ["[-p PROGRAM] [RECIPE[#NAME] | STORE-PATH] [-- ARGUMENTS…]"],
  examples: [
    { does: "The program of ./silo.ts", command: "silo run" },
    { does: "That of the export `hello`, with arguments", command: "silo run '#hello' -- --greeting=Hi" },
    { does: "Another program of the same", command: "silo run -p hello-debug '#hello'" },
  ],
  options: {
    program: { letter: "p", operands: ["PROGRAM"], help: "The file in `bin`, when it is not called as the derivation" },
  },
};

export const run: Applet = {
  name: spec.name,
  summary: spec.summary,
  run(args, io) {
    const at = args.indexOf("--" as ByteString);
    const [own, programArgs] = at < 0 ? [args, []] : [args.slice(0, at), args.slice(at + 1)];
    return commandApplet(spec, (line, lineIo) => runTarget(line, lineIo, programArgs)).run(own, io);
  },
};

class NoProgram extends SiloError {
  readonly code = "no-program";
}

async function runTarget(line: CommandLine<"program">, io: Io, programArgs: readonly ByteString[]): Promise<number> {
  if (line.operands.length > 1)
    throw new UsageError("'silo run' takes one thing to run; write its arguments behind '--'");
  const recipes = await openRecipes(openSession(line, io), line.operands);
  const [target] = recipes.targets;
  return buildAndRun(
    recipes,
    () => [target!.derived],
    (store) => {
      const program = findProgram(store, outputsOf(store, recipes, target!), line.last("program"));
      return { path: program, args: [program, ...programArgs], env: environmentWords(environmentBytes(io.env)) };
    },
  );
}

/** @throws NoProgram */
function findProgram(store: Store, outputs: ReadonlyMap<string, StorePath>, wanted: ByteString | undefined): string {
  const dirOf = (path: StorePath) => `${store.local?.realStoreDir ?? store.storeDir}/${path}`;
  const found = [...outputs.values()].flatMap((path) => {
    if (isProgram(dirOf(path))) return [{ name: nameOf(path), shown: printStorePath(store.storeDir, path) }];
    if (kindOf(`${dirOf(path)}/bin`) !== "directory") return [];
    const names = readDirectory(`${dirOf(path)}/bin`).map((entry) => entry.name);
    return names.map((name) => ({ name, shown: `${printStorePath(store.storeDir, path)}/bin/${name}` }));
  });
  const [first] = outputs.values();
  const shownFirst = printStorePath(store.storeDir, first!);
  if (found.length === 0)
    throw new NoProgram(`'${shownFirst}' has no programs: there is nothing in its directory 'bin'`);
  const name = wanted ?? nameOf(first!).replace(/-[0-9].*$/, "");
  const program =
    found.find((each) => each.name === name) ?? (wanted === undefined && found.length === 1 ? found[0] : undefined);
  if (program !== undefined) return program.shown;
  const names = found.map((each) => toText(each.name)).join(", ");
  throw new NoProgram(`'${shownFirst}' has no program '${toText(name)}'; name one of these with '--program': ${names}`);
}

function isProgram(file: string): boolean {
  const status = tryStat(file);
  return status?.kind === "regular" && (status.mode & 0o111) !== 0;
}
