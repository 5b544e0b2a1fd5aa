/**
 * The setting `pre-build-hook`: a program that may add paths to the sandbox of a build. It prints lines: a command
 * (`extra-sandbox-paths`), what belongs to it, and an empty line.
 */
import type { ByteString } from "../formats/byte-string.ts";
import type { SandboxPath } from "../store/builder-runner.ts";
import { BuildFailure } from "./build-failure.ts";
import { runProgramSync } from "./run-program.ts";
import { parseSandboxPath } from "./sandbox-plan.ts";

const commands = ["extra-sandbox-paths", "extra-chroot-dirs"];

/** @throws BuildFailure, ProgramFailed */
export function preBuildHookPaths(hook: string, drvPath: string, rootDir: string): SandboxPath[] {
  const paths: SandboxPath[] = [];
  let state: "command" | "paths" = "command";
  for (const line of runProgramSync(hook, [drvPath, rootDir], {}).split("\n")) {
    if (state === "paths") {
      if (line === "") state = "command";
      else paths.push(parseSandboxPath(line as ByteString));
    } else if (commands.includes(line)) state = "paths";
    else if (line !== "") {
      throw new BuildFailure("misc-failure", `unknown pre-build hook command '${line}'`);
    }
  }
  return paths;
}
