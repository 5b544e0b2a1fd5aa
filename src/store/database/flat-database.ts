/**
 * The database of Nix 0.12 to 0.16 (schema 5): a text file for each valid path.
 *
 *     info/<base name>     lines `Key: value`: Hash (`sha256:<base16>`), References (full paths, by spaces), Deriver, Registered-At
 *     failed/<base name>   an empty file for a build that failed
 */
import { SiloError } from "../../error.ts";
import { knownOutputPath } from "../../formats/derivation/derivation.ts";
import { parseHash, printHash } from "../../formats/hash.ts";
import {
  isDerivationPath,
  parseFullStorePath,
  parseStorePath,
  printStorePath,
  type StoreDir,
  type StorePath,
  tryParseStorePath,
} from "../../formats/store-path.ts";
import { readSmallFile } from "../../sys/descriptor.ts";
import { readDirectory } from "../../sys/directory.ts";
import { exists } from "../../sys/names.ts";
import { readDerivation } from "../read-derivation.ts";
import { failedPathsSql, schemaSql } from "./schema.ts";
import type { StoreDatabase } from "./store-database.ts";

export interface FlatDatabaseContext {
  readonly dbDir: string;
  readonly storeDir: StoreDir;
  readonly realStoreDir: string;
}

export class BadFlatDatabase extends SiloError {
  readonly code = "bad-flat-database";
  constructor(
    readonly file: string,
    readonly reason: string,
    cause?: unknown,
  ) {
    super(`Cannot import '${file}' of the old database: ${reason}`, { cause });
  }
}

interface FlatInfo {
  readonly path: StorePath;
  readonly hash: string;
  readonly references: readonly StorePath[];
  readonly deriver: StorePath | undefined;
  readonly registrationTimeSec: number;
}

const maxInfoSize = 16 * 1024 * 1024;

/** Imports everything in one transaction, into tables of the newest schema. @throws BadFlatDatabase */
export function importFlatDatabase(db: StoreDatabase, context: FlatDatabaseContext): void {
  const infoDir = `${context.dbDir}/info`;
  const names = exists(infoDir) ? readDirectory(infoDir).map(({ name }) => name) : [];
  const infos = names
    .filter((name) => !name.startsWith("."))
    .map((name) => readInfo(`${infoDir}/${name}`, name, context));
  db.transaction(() => {
    db.exec(schemaSql);
    const idByPath = new Map(infos.map((info) => [info.path, insertPath(db, info, context)]));
    for (const info of infos) insertReferences(db, info, idByPath, infoDir);
    for (const { path } of infos) if (isDerivationPath(path)) insertOutputs(db, path, idByPath.get(path)!, context);
    importFailures(db, context);
  });
}

function readInfo(file: string, baseName: string, { storeDir }: FlatDatabaseContext): FlatInfo {
  const fields = new Map<string, string>();
  for (const line of readSmallFile(file, maxInfoSize).toString("latin1").split("\n")) {
    if (line === "") continue;
    const colon = line.indexOf(":");
    if (colon < 0) throw new BadFlatDatabase(file, `the line ${JSON.stringify(line)} has no colon`);
    fields.set(line.slice(0, colon), line.slice(colon + 2));
  }
  try {
    const deriver = fields.get("Deriver") ?? "";
    const references = (fields.get("References") ?? "").split(" ").filter((path) => path !== "");
    return {
      path: parseStorePath(baseName),
      hash: printHash(parseHash(fields.get("Hash") ?? "", "sha256"), "base16"),
      references: references.map((path) => parseFullStorePath(storeDir, path)),
      deriver: deriver === "" ? undefined : parseFullStorePath(storeDir, deriver),
      registrationTimeSec: Number.parseInt(fields.get("Registered-At") ?? "0", 10) || 0,
    };
  } catch (error) {
    if (error instanceof SiloError) throw new BadFlatDatabase(file, error.message, error);
    throw error;
  }
}

function insertPath(db: StoreDatabase, info: FlatInfo, { storeDir }: FlatDatabaseContext): number {
  const path = printStorePath(storeDir, info.path);
  db.statement("insert or ignore into ValidPaths (path, hash, registrationTime, deriver) values (?, ?, ?, ?)").run(
    path,
    info.hash,
    info.registrationTimeSec,
    info.deriver === undefined ? null : printStorePath(storeDir, info.deriver),
  );
  return Number(db.statement("select id from ValidPaths where path = ?").row(path)![0]);
}

function insertReferences(db: StoreDatabase, info: FlatInfo, idByPath: Map<StorePath, number>, infoDir: string): void {
  for (const reference of info.references) {
    const id = idByPath.get(reference);
    if (id === undefined)
      throw new BadFlatDatabase(`${infoDir}/${info.path}`, `its reference '${reference}' is not valid`);
    db.statement("insert or replace into Refs (referrer, reference) values (?, ?)").run(idByPath.get(info.path)!, id);
  }
}

function insertOutputs(db: StoreDatabase, drvPath: StorePath, id: number, context: FlatDatabaseContext): void {
  const drv = readDerivation(context.storeDir, context.realStoreDir, drvPath);
  for (const [name, output] of drv.outputs) {
    const path = knownOutputPath(output);
    if (path === undefined) continue;
    db.statement("insert or replace into DerivationOutputs (drv, id, path) values (?, ?, ?)").run(
      id,
      name,
      printStorePath(context.storeDir, path),
    );
  }
}

function importFailures(db: StoreDatabase, { dbDir, storeDir }: FlatDatabaseContext): void {
  const failedDir = `${dbDir}/failed`;
  if (!exists(failedDir)) return;
  db.exec(failedPathsSql);
  for (const { name } of readDirectory(failedDir)) {
    const path = tryParseStorePath(name);
    if (path === undefined) continue; // nobody will ask for it
    db.statement("insert or ignore into FailedPaths (path, time) values (?, 0)").run(printStorePath(storeDir, path));
  }
}
