import { SiloError } from "../../error.ts";
import type { Reporter } from "../../store/reporter.ts";

/** Tells a failure of building, which may have several lines, and returns the exit status. @throws what is no such failure */
export function printBuildFailure(reporter: Reporter, error: unknown): number {
  if (!(error instanceof SiloError)) throw error;
  reporter.message("error", `error: ${error.message.replaceAll("\n", "\n       ")}`);
  return error.exitStatus;
}
