/** How a process ended, in the words of Nix's messages. */
import { constants } from "node:os";

/** @param signal its name or number, when one killed it */
export function printExit(status: number | undefined, signal: string | number | null): string {
  if (signal === null) return status === undefined ? "died abnormally" : `failed with exit code ${status}`;
  const number = typeof signal === "number" ? signal : (constants.signals[signal as NodeJS.Signals] ?? 0);
  return `failed due to signal ${number} (${descriptions[number] ?? `Unknown signal ${number}`})`;
}

/** As strsignal(3) has them. */
const descriptions: Readonly<Record<number, string>> = {
  1: "Hangup",
  2: "Interrupt",
  3: "Quit",
  4: "Illegal instruction",
  5: "Trace/breakpoint trap",
  6: "Aborted",
  7: "Bus error",
  8: "Floating point exception",
  9: "Killed",
  10: "User defined signal 1",
  11: "Segmentation fault",
  12: "User defined signal 2",
  13: "Broken pipe",
  14: "Alarm clock",
  15: "Terminated",
  16: "Stack fault",
  24: "CPU time limit exceeded",
  25: "File size limit exceeded",
  26: "Virtual timer expired",
  31: "Bad system call",
};
