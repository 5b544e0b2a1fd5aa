/** The file `schema` beside the database: the schema's number in decimal, without a newline. */
import { SiloError } from "../../error.ts";
import { close, fsync, O_CREAT, O_TRUNC, O_WRONLY, open, readSmallFile, writeAll } from "../../sys/descriptor.ts";
import { rename } from "../../sys/names.ts";
import { isSystemError } from "../../sys/system-error.ts";
import { schemaVersion } from "./schema.ts";

export class UnsupportedSchema extends SiloError {
  readonly code = "unsupported-schema";
}

/** Undefined for a store that is new. @throws UnsupportedSchema for a file that holds something else than a number */
export function readSchemaVersion(dbDir: string): number | undefined {
  const path = `${dbDir}/schema`;
  try {
    const text = readSmallFile(path, 64).toString("latin1");
    if (!/^[0-9]{1,9}$/.test(text)) {
      throw new UnsupportedSchema(`'${path}' is corrupt: it holds ${JSON.stringify(text)}, expected a decimal number`);
    }
    return Number(text);
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** @throws UnsupportedSchema for a schema that this program cannot use and cannot upgrade */
export function checkSchemaVersion(version: number): void {
  if (version > schemaVersion) {
    throw new UnsupportedSchema(`current Nix store schema is version ${version}, but I only support ${schemaVersion}`);
  }
  if (version < 5) {
    throw new UnsupportedSchema(
      "your Nix store has a database in Berkeley DB format, which is no longer supported; " +
        "to convert it, open it once with Nix 0.12, which is the last to read that",
    );
  }
}

/** Replaces the file, so that a crash leaves the old number or the new. */
export function writeSchemaVersion(dbDir: string, version: number): void {
  const temporary = `${dbDir}/schema.tmp-${process.pid}`;
  const fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
  try {
    writeAll(fd, Buffer.from(String(version)));
    fsync(fd);
  } finally {
    close(fd);
  }
  rename(temporary, `${dbDir}/schema`);
}
