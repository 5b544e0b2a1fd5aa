/** Does this machine allow a sandbox? Found out by setting one up for a program that does not exist. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ByteString } from "../formats/byte-string.ts";
import { parseStoreDir, parseStorePath } from "../formats/store-path.ts";
import type { BuilderSpec, BuildUser } from "../store/builder-runner.ts";
import { deleteTree } from "../sys/delete-tree.ts";
import { lchown } from "../sys/metadata.ts";
import { mkdir } from "../sys/names.ts";
import { startAttempt } from "./attempt.ts";
import { SandboxImpossible } from "./impossible.ts";

/** Why not, in the kernel's words; undefined when it does. @throws SystemError */
export async function probeSandbox(user: BuildUser | undefined): Promise<string | undefined> {
  const dir = mkdtempSync(join(tmpdir(), "silo-probe-"));
  try {
    const { ended } = startAttempt(specIn(dir, user), () => {}, {});
    const end = await ended;
    return end.kind === "impossible" ? end.reason : undefined;
  } catch (error) {
    if (error instanceof SandboxImpossible) return error.reason;
    throw error;
  } finally {
    deleteTree(dir);
  }
}

function specIn(dir: string, user: BuildUser | undefined): BuilderSpec {
  const storeDir = parseStoreDir(`${dir}/store`);
  const buildDir = `${dir}/build`;
  mkdir(storeDir, 0o755);
  mkdir(buildDir, 0o700);
  if (user !== undefined) lchown(buildDir, user.uid, user.gid);
  return {
    drvPath: parseStorePath("00000000000000000000000000000000-probe.drv"),
    program: { kind: "executable", path: "/no-such-program" as ByteString, args: [] },
    env: new Map(),
    buildDir,
    system: "",
    impersonateLinux26: false,
    user,
    isolation: {
      kind: "sandbox",
      rootDir: `${storeDir}/probe.chroot`,
      buildDirInside: "/build",
      network: "private",
      storeDir,
      realStoreDir: storeDir,
      inputs: [],
      outputs: [],
      extraPaths: [],
      devShmSize: "50%",
      kvm: "hide",
      ifImpossible: "fail",
    },
    filterSyscalls: false,
    allowNewPrivileges: false,
  };
}
