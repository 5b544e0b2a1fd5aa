/** Check mode: what was built again is compared with what is registered, and with `keep-failed` kept beside it. */
import { equalHashes } from "../formats/hash.ts";
import { SiloError } from "../error.ts";
import { realPath, showPath } from "../store/local-store.ts";
import type { PathInfo } from "../store/path-info.ts";
import { queryPathInfo } from "../store/queries.ts";
import { registerValidPaths } from "../store/register.ts";
import { deleteTree } from "../sys/delete-tree.ts";
import { rename } from "../sys/names.ts";
import { OutputDiffers } from "./build-failure.ts";
import type { BuiltDerivation } from "./register-outputs.ts";
import { runProgramSync } from "./run-program.ts";
import { signPathInfo } from "./sign-path-info.ts";

/** @param info of the output as it came out this time @throws OutputDiffers */
export function compareWithRegistered(built: BuiltDerivation, info: PathInfo): void {
  const { store, plan } = built;
  const { settings } = store;
  const registered = queryPathInfo(store, info.path);
  if (registered === undefined) return;
  if (equalHashes(info.narHash, registered.narHash)) {
    // Verified, so trusted as if it had been built here.
    if (!registered.ultimate) registerValidPaths(store, [signPathInfo(store, { ...registered, ultimate: true })]);
    return;
  }
  const path = realPath(store, info.path);
  const drvPath = showPath(store, built.drvPath);
  const differs = `derivation '${drvPath}' may not be deterministic: output '${path}' differs`;
  if (!settings.get("run-diff-hook") && !settings.get("keep-failed")) throw new OutputDiffers(differs);
  const kept = `${path}.check`;
  deleteTree(kept);
  rename(realPath(store, plan.outputs.find((output) => output.path === info.path)!.result), kept);
  if (settings.get("run-diff-hook")) runDiffHook(built, path, kept);
  throw new OutputDiffers(`${differs} from '${kept}'`);
}

function runDiffHook({ store, user, drvPath, buildDir }: BuiltDerivation, before: string, after: string): void {
  const hook = store.settings.get("diff-hook");
  if (hook === "") return;
  try {
    const output = runProgramSync(hook, [before, after, showPath(store, drvPath), buildDir], {
      cwd: "/",
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
    });
    if (output !== "") store.reporter.message("error", output.replace(/\n+$/, ""));
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    store.reporter.message("error", `error: diff hook execution failed: ${error.message}`);
  }
}
