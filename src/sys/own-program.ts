/** This program, to be started again: what processes it needs are itself under another command. */
import { runtime } from "#runtime";

/** The executable and the arguments before the command. */
export function ownCommand(): readonly string[] {
  return runtime.ownCommand();
}
