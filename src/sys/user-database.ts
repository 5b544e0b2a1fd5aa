/** Users and groups from /etc/passwd and /etc/group: passwd(5), group(5). Lines that make no sense are passed over. */
import { readSmallFile } from "./descriptor.ts";
import { isSystemError } from "./system-error.ts";

export interface Group {
  readonly name: string;
  readonly gid: number;
  /** User names, in the order of the file. */
  readonly members: readonly string[];
}

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

const maxDatabaseSize = 16 * 1024 * 1024;

export function findGroup(name: string): Group | undefined {
  return groups().find((group) => group.name === name);
}

export function findGroupById(gid: number): Group | undefined {
  return groups().find((group) => group.gid === gid);
}

export function groups(): Group[] {
  return fieldsOf("/etc/group").flatMap(([name, , gid, members]) => {
    if (name === undefined || !isNumber(gid)) return [];
    return [{ name, gid: Number(gid), members: (members ?? "").split(",").filter((member) => member !== "") }];
  });
}

export function findUser(name: string): User | undefined {
  return users().find((user) => user.name === name);
}

export function findUserById(uid: number): User | undefined {
  return users().find((user) => user.uid === uid);
}

function users(): User[] {
  return fieldsOf("/etc/passwd").flatMap(([name, , uid, gid, , home]) => {
    if (name === undefined || !isNumber(uid) || !isNumber(gid)) return [];
    return [{ name, uid: Number(uid), gid: Number(gid), home: home ?? "/" }];
  });
}

function isNumber(text: string | undefined): text is string {
  return text !== undefined && /^[0-9]+$/.test(text);
}

function fieldsOf(path: string): string[][] {
  try {
    return readSmallFile(path, maxDatabaseSize)
      .toString("latin1")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.split(":"));
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return []; // a container without users
    throw error;
  }
}
