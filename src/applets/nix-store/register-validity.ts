/** `--register-validity` and `--load-db`: making valid what is in place already, all at once or not at all. */
import type { StorePath } from "../../formats/store-path.ts";
import {
  createRegistrationParser,
  type RegistrationForm,
  type ValidityRegistration,
} from "../../formats/validity-registration.ts";
import { type LocalStore, realPath } from "../../store/local-store.ts";
import { requireWritable } from "../../store/open-local-store.ts";
import type { PathInfo } from "../../store/path-info.ts";
import { queryValidPaths } from "../../store/queries.ts";
import { registerValidPaths } from "../../store/register.ts";
import { storeOwner } from "../../store/store-owner.ts";
import { canonicaliseTree } from "../../store/tree/canonical-metadata.ts";
import { hashTree } from "../../store/tree/nar-hash.ts";
import { read } from "../../sys/descriptor.ts";
import { requireLocal, withStore } from "../open-store.ts";
import type { OperationContext } from "./operation.ts";
import { refuseOperands } from "./operation-usage.ts";

interface RegistrationPlan {
  readonly form: RegistrationForm;
  /** What to do about paths that are valid already. */
  readonly known: "skip" | "register-again";
  readonly metadata: "make-canonical" | "leave";
}

export function loadDb(context: OperationContext): Promise<number> {
  return registerFromStdin(context, { form: "with-hash", known: "register-again", metadata: "leave" });
}

export function registerValidity(context: OperationContext): Promise<number> {
  const { line } = context;
  return registerFromStdin(context, {
    form: line.has("hash-given") ? "with-hash" : "without-hash",
    known: line.has("reregister") ? "register-again" : "skip",
    metadata: "make-canonical",
  });
}

async function registerFromStdin({ session, operands }: OperationContext, plan: RegistrationPlan): Promise<number> {
  refuseOperands(operands);
  await withStore(session, (store) => {
    const local = requireLocal(store);
    requireWritable(local);
    // The whole input is read and understood before anything is touched.
    const registrations = readRegistrations(local, session.io.stdinFd, plan.form);
    const valid = plan.known === "skip" ? queryValidPaths(local, registrations.keys()) : new Set<StorePath>();
    const infos: PathInfo[] = [];
    for (const registration of registrations.values()) {
      if (!valid.has(registration.path)) infos.push(preparePath(local, registration, plan));
    }
    registerValidPaths(local, infos);
  });
  return 0;
}

/** By path; the last of a path counts. @throws BadRegistration, SystemError */
function readRegistrations(
  store: LocalStore,
  fd: number,
  form: RegistrationForm,
): ReadonlyMap<StorePath, ValidityRegistration> {
  const parser = createRegistrationParser(store.storeDir, form);
  const registrations = new Map<StorePath, ValidityRegistration>();
  const buffer = Buffer.allocUnsafeSlow(64 * 1024);
  for (let size = read(fd, buffer); size > 0; size = read(fd, buffer)) {
    for (const each of parser.feed(buffer.subarray(0, size))) registrations.set(each.path, each);
  }
  parser.finish();
  return registrations;
}

function preparePath(store: LocalStore, registration: ValidityRegistration, { metadata }: RegistrationPlan): PathInfo {
  const { path, nar, deriver, references } = registration;
  const file = realPath(store, path);
  if (metadata === "make-canonical") {
    canonicaliseTree(file, {
      owner: storeOwner(),
      builderUid: undefined,
      ignoredAttributes: new Set(store.settings.get("ignored-acls")),
      seen: new Set(),
    });
  }
  const { hash, size } = nar ?? hashTree(file, "sha256");
  return {
    path,
    narHash: hash,
    narSize: size,
    references: [...references].sort(),
    deriver,
    registrationTimeSec: Math.floor(Date.now() / 1000),
    ultimate: false,
    signatures: [],
    contentAddress: undefined,
  };
}
