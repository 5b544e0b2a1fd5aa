/** Outputs of one derivation may refer to each other, but not in a circle: none could be registered first. */
import type { StorePath } from "../formats/store-path.ts";
import { BuildFailure } from "./build-failure.ts";

export interface OutputReferences {
  readonly name: string;
  readonly path: StorePath;
  readonly references: readonly StorePath[];
}

/** @param drvPath in full, for the error @throws BuildFailure */
export function refuseOutputCycles(drvPath: string, outputs: readonly OutputReferences[]): void {
  const nameByPath = new Map(outputs.map(({ name, path }) => [path, name]));
  const outputByName = new Map(outputs.map((output) => [output.name, output]));
  const done = new Set<string>();

  /** Outputs are few: the depth is theirs. */
  function visit(name: string, above: readonly string[]): void {
    const parent = above.at(-1);
    if (parent !== undefined && above.includes(name)) {
      throw new BuildFailure(
        "output-rejected",
        `cycle detected in build of '${drvPath}' in the references of output '${name}' from output '${parent}'`,
      );
    }
    if (done.has(name)) return;
    done.add(name);
    const next = outputByName.get(name)!.references.flatMap((path) => nameByPath.get(path) ?? []);
    for (const other of next.sort()) if (other !== name) visit(other, [...above, name]);
  }

  for (const name of [...outputByName.keys()].sort()) visit(name, []);
}
