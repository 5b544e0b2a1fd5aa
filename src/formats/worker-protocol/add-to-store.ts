/**
 * AddToStore, which has two forms:
 *
 *     before 1.25   string name, u64 fixed, u64 recursive, string hash algorithm, a NAR       reply: path
 *                   The NAR of a file when flat. `fixed` is 0 for recursive sha256 and forces it.
 *     since 1.25    string name, string method, set references, bool repair, frames           reply: path, path info
 *                   The frames hold the file itself when flat or text, else a NAR.
 */
import { type ByteString, fromText } from "../byte-string.ts";
import { type ContentAddressMethod, parseContentAddressMethod, printContentAddressMethod } from "../content-address.ts";
import { parseHashAlgo } from "../hash.ts";
import type { StorePath } from "../store-path.ts";
import { pathInfo, type WirePathInfo } from "./path-info.ts";
import {
  bool,
  changed,
  converted,
  int,
  NotInProtocol,
  record,
  storePath,
  storePaths,
  string,
  type WireType,
} from "./wire-type.ts";

export interface AddToStoreRequest {
  readonly name: ByteString;
  readonly method: ContentAddressMethod;
  readonly references: readonly StorePath[];
  readonly repair: boolean;
}

interface OldFields {
  readonly name: ByteString;
  readonly fixed: number;
  readonly recursive: number;
  readonly algo: ByteString;
}

const oldForm = converted<OldFields, AddToStoreRequest>(
  record<OldFields>({
    name: string,
    fixed: int,
    recursive: int,
    algo: string,
  }),
  ({ name, fixed, recursive, algo }) => {
    const isDefault = fixed === 0;
    const hashAlgo = isDefault ? "sha256" : parseHashAlgo(algo);
    const method = isDefault || recursive !== 0 ? "recursive" : "flat";
    return { name, method: { kind: "fixed", method, hashAlgo }, references: [], repair: false };
  },
  ({ name, method, references, repair }) => {
    if (method.kind === "text")
      throw new NotInProtocol(`Cannot add text '${name}': the daemon is too old for this request`);
    if (references.length > 0) throw new NotInProtocol(`Cannot add '${name}' with references: the daemon is too old`);
    if (repair) throw new NotInProtocol(`Cannot repair '${name}': the daemon is too old`);
    const recursive = method.method === "recursive";
    const isDefault = recursive && method.hashAlgo === "sha256";
    return { name, fixed: isDefault ? 0 : 1, recursive: recursive ? 1 : 0, algo: fromText(method.hashAlgo) };
  },
);

const newForm: WireType<AddToStoreRequest> = record<AddToStoreRequest>({
  name: string,
  method: converted(string as WireType<string>, parseContentAddressMethod, printContentAddressMethod),
  references: storePaths,
  repair: bool,
});

export const addToStoreRequest: WireType<AddToStoreRequest> = changed(25, oldForm, newForm);

export interface AddToStoreReply {
  readonly path: StorePath;
  /** Since 1.25. */
  readonly info: WirePathInfo | undefined;
}

export const addToStoreReply: WireType<AddToStoreReply> = changed<AddToStoreReply>(
  25,
  converted(
    storePath,
    (path) => ({ path, info: undefined }),
    ({ path }) => path,
  ),
  converted(
    pathInfo,
    (info) => ({ path: info.path, info }),
    ({ info, path }) => {
      if (info === undefined) throw new Error(`no info of ${path} to send`);
      return info;
    },
  ),
);
