/** The store URI `ssh://localhost` (exactly) runs the program here, without ssh: as Nix does. */
import { spawn } from "node:child_process";
import type { Environment } from "../store/directories.ts";
import { SiloError } from "../error.ts";
import type { RemoteExit, RemoteProcess } from "./remote-process.ts";
import { streamProcess } from "./stream-process.ts";

export class CannotStart extends SiloError {
  readonly code = "cannot-start";
}

/** @param command for a shell */
export function startLocally(
  name: string,
  command: string,
  env: Environment,
  onStderr?: (chunk: Uint8Array) => void,
): RemoteProcess {
  const child = spawn("/bin/sh", ["-c", command], { stdio: "pipe", env: env as NodeJS.ProcessEnv });
  const ended = new Promise<Omit<RemoteExit, "stderr">>((resolve) => {
    child.on("error", (error) => {
      resolve({ status: undefined, error: new CannotStart(`cannot start a shell: ${error.message}`) });
    });
    child.on("close", (status) => resolve({ status: status ?? undefined, error: undefined }));
  });
  const { stdin, stdout, stderr } = child;
  return streamProcess(name, { stdin, stdout, stderr, ended, kill: () => void child.kill("SIGKILL") }, onStderr);
}
