/** Failures that a daemon reports. */
import { SiloError } from "../../error.ts";
import { toText } from "../../formats/byte-string.ts";
import type { Failure } from "../../formats/worker-protocol/messages.ts";

export class DaemonFailure extends SiloError {
  readonly code = "daemon-failure";
  override readonly exitStatus: number;
  constructor(message: string, exitStatus: number) {
    super(message);
    this.exitStatus = exitStatus;
  }
}

export function daemonFailure({ message, exitStatus = 1, traces }: Failure): DaemonFailure {
  const text = [message, ...traces].map((each) => plainText(toText(each))).join("\n");
  // 0 is what a daemon of 1.7 sends when it cannot open the store.
  return new DaemonFailure(text, exitStatus === 0 ? 1 : exitStatus);
}

/** Without colours, and without the prefix that some versions put in front of what clients print as an error anyway. */
export function plainText(text: string): string {
  return text.replace(/\x1b\[[0-9;]*m/g, "").replace(/^error: /, "");
}
