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
import { collectEvery } from "../sys/memory.ts";
import { BuildFailure } from "./build-failure.ts";
import { derivationAttributes, prefersToBuildHere, substitutesAllowed } from "./derivation-attributes.ts";

/** What scheduling needs of a derivation; kept for the whole run, unlike the derivation itself. */
export interface DerivationSummary {
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

const onlyOut: ReadonlySet<string> = new Set(["out"]);
const noOutputs = new Map<string, StorePath>();
const noSources: readonly StorePath[] = [];

export class KnownGraph {
  /** The path where there is one output, `out`, as nearly always: maps for all would take more memory than all else. */
  private readonly outputs = new Map<StorePath, StorePath | Map<string, StorePath>>();
  private readonly names = new Map<StorePath, StorePath>();
  private readonly valid = new Set<StorePath>();
  private readonly summaries = new Map<StorePath, DerivationSummary>();
  private readonly inputs = new Map<StorePath, readonly DerivationInput[]>();
  /** The few that there are: derivations have mostly the same. */
  private readonly sharedSummaries = new Map<string, DerivationSummary>();

  /** After so many derivations; a collection takes as long as reading a few hundred. */
  private readonly tidy = collectEvery(2500);

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
      if (!this.outputs.has(drvPath)) {
        this.outputs.set(drvPath, noOutputs);
        this.names.set(drvPath, drvPath);
        roots.push(String(drv));
      }
      if (name === null) continue;
      const output = pathColumn(store, path);
      this.addOutput(drvPath, String(name), output);
      roots.push(String(path));
      if (valid === 1) claimed.push(output);
    }
    store.tempRoots.add(roots);
    this.tidy(roots.length);
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
    this.keep(drvPath, { ...drv, inputDrvs: new Map() });
    this.summaries.set(drvPath, { ...this.summaryOf(drvPath), sources: [...drv.inputSrcs] });
    this.outputs.set(drvPath, outputs);
    const { store } = this;
    store.tempRoots.add([...outputs.values(), ...drv.inputSrcs].map((path) => showPath(store, path)));
    this.recheck(outputs.values());
  }

  /** Undefined for a derivation that is not valid. */
  outputsOf(drvPath: StorePath): ReadonlyMap<string, StorePath> | undefined {
    if (!this.outputs.has(drvPath)) this.load([drvPath]);
    const outputs = this.outputs.get(drvPath);
    return typeof outputs === "string" ? new Map([["out", outputs]]) : outputs;
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

  /** Reads the derivation, unless that has been done. @throws BuildFailure, BadDerivation, SystemError */
  summaryOf(drvPath: StorePath): DerivationSummary {
    if (!this.summaries.has(drvPath)) this.read(drvPath);
    return this.summaries.get(drvPath)!;
  }

  /** The derivations that it needs. @throws as {@link summaryOf} */
  inputsOf(drvPath: StorePath): readonly DerivationInput[] {
    if (!this.inputs.has(drvPath)) this.read(drvPath);
    return this.inputs.get(drvPath)!;
  }

  /** As {@link inputsOf}, and forgets them: asked for again, they are read again. */
  takeInputs(drvPath: StorePath): readonly DerivationInput[] {
    const inputs = this.inputsOf(drvPath);
    if (this.summaryOf(drvPath).sources.length === 0) this.inputs.delete(drvPath);
    return inputs;
  }

  private read(drvPath: StorePath): void {
    this.keep(drvPath, readDerivation(this.store.storeDir, this.store.realStoreDir, drvPath));
    this.tidy();
  }

  private addOutput(drvPath: StorePath, name: string, path: StorePath): void {
    const known = this.outputs.get(drvPath);
    if (known === undefined || known === noOutputs) {
      this.outputs.set(drvPath, name === "out" ? path : new Map([[name, path]]));
    } else if (typeof known !== "string") known.set(name, path);
    else if (name !== "out") this.outputs.set(drvPath, new Map([["out", known]]).set(name, path));
  }

  private keep(drvPath: StorePath, drv: Derivation): void {
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
    const inputs = Array.from(drv.inputDrvs, ([input, outputs]) => ({
      drvPath: this.shared(input),
      outputs: outputs.size === 1 && outputs.has("out") ? onlyOut : outputs,
    }));
    this.inputs.set(drvPath, inputs);
    const substitutable = substitutesAllowed(settings, attributes);
    const isLocal = prefersToBuildHere(settings, drv, attributes);
    const key = `${substitutable} ${isLocal}`;
    let summary = this.sharedSummaries.get(key);
    if (summary === undefined) {
      summary = { substitutable, prefersToBuildHere: isLocal, sources: noSources };
      this.sharedSummaries.set(key, summary);
    }
    this.summaries.set(drvPath, summary);
  }

  /** One string for one path, in place of a slice that keeps the derivation's text alive. */
  private shared(path: StorePath): StorePath {
    return this.names.get(path) ?? path;
  }
}
