/**
 * Collects what a derivation depends on, from its strings: whatever this evaluation has made is found by the hash part of its path,
 * also in a string that was put together by other means than interpolation.
 */
import type { StorePath } from "../formats/store-path.ts";
import { isDerivationPath } from "../formats/store-path.ts";
import type { Dependency, Evaluation } from "./evaluation.ts";

export interface Inputs {
  readonly sources: ReadonlySet<StorePath>;
  readonly derivations: ReadonlyMap<StorePath, ReadonlySet<string>>;
}

export interface InputCollector {
  /** The next string, as text or bytes. */
  scan(text: string): void;
  /** Something that was given as an object, so that nothing has to be guessed. */
  add(dependency: Dependency): void;
  finish(): Inputs;
}

const hashPartLength = 32;
const placeholderLength = 52;
/** Runs of digits of Nix base32 that are long enough. */
const runs = /[0-9a-df-np-sv-z]{32,}/g;

export function collectInputs(evaluation: Evaluation): InputCollector {
  const sources = new Set<StorePath>();
  const derivations = new Map<StorePath, Set<string>>();
  /** The dependency that an object given as such has made certain, by key. */
  const certain = new Set<string>();
  const scanned = new Map<string, Dependency>();

  function take(dependency: Dependency): void {
    switch (dependency.kind) {
      case "source":
        sources.add(dependency.path);
        break;
      case "output":
        wanted(dependency.drvPath).add(dependency.output);
        break;
      case "derivation":
        for (const path of closureOf(evaluation, dependency.drvPath)) {
          sources.add(path);
          if (!isDerivationPath(path)) continue;
          for (const output of evaluation.derivations.get(path)!.drv.outputs.keys()) wanted(path).add(output);
        }
    }
  }

  function wanted(drvPath: StorePath): Set<string> {
    const outputs = derivations.get(drvPath) ?? new Set();
    derivations.set(drvPath, outputs);
    return outputs;
  }

  return {
    scan(text) {
      for (const [run] of text.matchAll(runs)) {
        for (let at = 0; at + hashPartLength <= run.length; at++) {
          const key = run.slice(at, at + hashPartLength);
          const dependency = evaluation.dependencies.get(key);
          if (dependency !== undefined) scanned.set(key, dependency);
        }
        for (let at = 0; at + placeholderLength <= run.length; at++) {
          const key = run.slice(at, at + placeholderLength);
          const dependency = evaluation.dependencies.get(key);
          if (dependency !== undefined) scanned.set(key, dependency);
        }
      }
    },
    add(dependency) {
      certain.add(keyOf(evaluation, dependency));
      take(dependency);
    },
    finish() {
      for (const [key, dependency] of scanned) if (!certain.has(key)) take(dependency);
      return { sources, derivations };
    },
  };
}

/** What strings show of a dependency. */
function keyOf(evaluation: Evaluation, dependency: Dependency): string {
  if (dependency.kind !== "output") {
    return (dependency.kind === "source" ? dependency.path : dependency.drvPath).slice(0, hashPartLength);
  }
  return evaluation.derivations.get(dependency.drvPath)!.keys.get(dependency.output)!;
}

/** A derivation's file with all that it refers to, directly and indirectly. */
export function closureOf(evaluation: Evaluation, start: StorePath): Set<StorePath> {
  const closure = new Set([start]);
  // A set that grows while it is gone through shows what was added, too.
  for (const path of closure) {
    const references =
      evaluation.derivations.get(path)?.file.references ?? evaluation.sources.get(path)?.references ?? [];
    for (const reference of references) closure.add(reference);
  }
  return closure;
}
