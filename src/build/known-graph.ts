/**
 * What a build knows of the graph below the derivations that it was asked for: their outputs, which of them are valid,
 * and what needs what. One statement answers for the whole graph, and it does not look below a derivation whose outputs
 * are all valid: a build with nothing to do reads nothing. Everything looked at becomes a temporary root.
 */
import type { BasicDerivation, Derivation } from "../formats/derivation/derivation.ts";
import { derivationKind, knownOutputPath } from "../formats/derivation/derivation.ts";
import { isDerivationPath, type StorePath } from "../formats/store-path.ts";
import { type LocalStore, showPath } from "../store/local-store.ts";
import { pathColumn, pathList, queryValidPaths } from "../store/queries.ts";
import { readDerivation } from "../store/read-derivation.ts";
import { BuildFailure } from "./build-failure.ts";
import { derivationAttributes, prefersToBuildHere, substitutesAllowed } from "./derivation-attributes.ts";

/** What scheduling needs of a derivation; kept for the whole run, unlike the derivation itself. */
export interface DerivationSummary {
  readonly inputs: readonly DerivationInput[];
  readonly substitutable: boolean;
  readonly prefersToBuildHere: boolean;
  /** Of a derivation in memory: its sources, which nothing keeps valid. Those of one in the store are its references. */
  readonly sources: readonly StorePath[];
}

export interface DerivationInput {
  readonly drvPath: StorePath;
  readonly outputs: ReadonlySet<string>;
}

/** From a derivation down to derivations, as long as one of the upper's outputs is not valid. */
const graphSql = `
with recursive need(id) as (
  select id from ValidPaths where path in (select value from json_each(?))
  union
  select d.id from need n
    join Refs r on r.referrer = n.id
    join ValidPaths d on d.id = r.reference
    where substr(d.path, -4) = '.drv' and exists (
      select 1 from DerivationOutputs o left join ValidPaths v on v.path = o.path where o.drv = n.id and v.id is null))
select d.path as drv, o.id as output, o.path as path, v.id is not null as valid from need n
  join ValidPaths d on d.id = n.id
  left join DerivationOutputs o on o.drv = n.id
  left join ValidPaths v on v.path = o.path`;

const noInputs: ReadonlySet<string> = new Set(["out"]);

export class KnownGraph {
  private readonly outputs = new Map<StorePath, Map<string, StorePath>>();
  private readonly names = new Map<StorePath, StorePath>();
  private readonly valid = new Set<StorePath>();
  private readonly summaries = new Map<StorePath, DerivationSummary>();

  constructor(private readonly store: LocalStore) {}

  /** Looks at these derivations, and below them, unless that has been done. Those not valid stay unknown. */
  load(drvPaths: Iterable<StorePath>): void {
    const fresh = [...new Set(drvPaths)].filter((path) => !this.outputs.has(path) && isDerivationPath(path));
    if (fresh.length === 0) return;
    const { store } = this;
    const claimed: StorePath[] = [];
    const roots: string[] = [];
    for (const [drv, name, path, valid] of store.db.statement(graphSql).rows(pathList(store.storeDir, fresh))) {
      const drvPath = pathColumn(store, drv);
      let outputs = this.outputs.get(drvPath);
      if (outputs === undefined) {
        outputs = new Map();
        this.outputs.set(drvPath, outputs);
        this.names.set(drvPath, drvPath);
        roots.push(String(drv));
      }
      if (name === null) continue;
      const output = pathColumn(store, path);
      outputs.set(String(name), output);
      roots.push(String(path));
      if (valid === 1) claimed.push(output);
    }
    store.tempRoots.add(roots);
    // Only what is valid now that it is a root stays so.
    if (claimed.length > 0) for (const path of queryValidPaths(store, claimed)) this.valid.add(path);
  }

  /** Makes a derivation known that is not in the store. @throws BuildFailure */
  addInMemory(drvPath: StorePath, drv: BasicDerivation): void {
    const outputs = new Map<string, StorePath>();
    for (const [name, output] of drv.outputs) {
      const path = knownOutputPath(output);
      if (path !== undefined) outputs.set(name, path);
    }
    const summary = this.summarise(drvPath, { ...drv, inputDrvs: new Map() });
    this.summaries.set(drvPath, { ...summary, sources: [...drv.inputSrcs] });
    this.outputs.set(drvPath, outputs);
    const { store } = this;
    store.tempRoots.add([...outputs.values(), ...drv.inputSrcs].map((path) => showPath(store, path)));
    this.recheck(outputs.values());
  }

  /** Undefined for a derivation that is not valid. */
  outputsOf(drvPath: StorePath): ReadonlyMap<string, StorePath> | undefined {
    if (!this.outputs.has(drvPath)) this.load([drvPath]);
    return this.outputs.get(drvPath);
  }

  /** Was valid when last looked at, and cannot be collected. */
  isKnownValid(path: StorePath): boolean {
    return this.valid.has(path);
  }

  markValid(path: StorePath): void {
    this.valid.add(path);
  }

  /** Asks the database about paths that are roots already. */
  recheck(paths: Iterable<StorePath>): void {
    const asked = [...paths];
    const valid = queryValidPaths(this.store, asked);
    for (const path of asked) {
      if (valid.has(path)) this.valid.add(path);
      else this.valid.delete(path);
    }
  }

  /** Reads the derivation, once. @throws BuildFailure, BadDerivation, SystemError */
  summaryOf(drvPath: StorePath): DerivationSummary {
    let summary = this.summaries.get(drvPath);
    if (summary === undefined) {
      summary = this.summarise(drvPath, readDerivation(this.store.storeDir, this.store.realStoreDir, drvPath));
      this.summaries.set(drvPath, summary);
    }
    return summary;
  }

  private summarise(drvPath: StorePath, drv: Derivation): DerivationSummary {
    const { settings } = this.store;
    const shown = showPath(this.store, drvPath);
    const kind = derivationKind(drv);
    if (kind !== "input-addressed" && kind !== "fixed") {
      const needed = kind === "impure" ? "impure-derivations" : "ca-derivations";
      throw new BuildFailure(
        "misc-failure",
        `cannot build derivation '${shown}': its outputs are ${kind}, which needs the experimental feature '${needed}', and silo has none`,
      );
    }
    const attributes = derivationAttributes(drv, shown);
    return {
      inputs: Array.from(drv.inputDrvs, ([input, outputs]) => ({
        drvPath: this.shared(input),
        // Nearly always this one: a set for each edge would cost more than the rest.
        outputs: outputs.size === 1 && outputs.has("out") ? noInputs : outputs,
      })),
      substitutable: substitutesAllowed(settings, attributes),
      prefersToBuildHere: prefersToBuildHere(settings, drv, attributes),
      sources: [],
    };
  }

  /** One string for one path, in place of a slice that keeps the derivation's text alive. */
  private shared(path: StorePath): StorePath {
    return this.names.get(path) ?? path;
  }
}
