/** The log of a builder: what it writes to its terminal, read as soon as it is there. */
import { close } from "../sys/descriptor.ts";
import { openPseudoTerminal } from "../sys/pseudo-terminal.ts";
import { signalInput } from "../sys/signal-input.ts";
import { check, tryCall } from "../sys/syscall.ts";

export interface TerminalLog {
  /** For the builder; to be closed here when the builder has it. */
  readonly slave: number;
  /** Delivers what is there, without waiting; true when more may be. @throws SystemError */
  drain(): boolean;
  close(): void;
}

const EAGAIN = 11;
/** No program has the terminal open. */
const EIO = 5;
/** Of one visit, so that a builder that never stops writing does not keep silo from everything else. */
const maxReads = 64;

const buffer = Buffer.allocUnsafeSlow(65536);

/** `owner` may open the terminal by its name; see openPseudoTerminal. @throws SystemError */
export function openTerminalLog(owner: number | undefined, onLog: (bytes: Uint8Array) => void): TerminalLog {
  const { master, slave } = openPseudoTerminal(owner);
  signalInput(master);
  return {
    slave,
    drain() {
      for (let reads = 0; reads < maxReads; reads++) {
        const count = tryCall("read", master, buffer, buffer.length);
        if (count === -EAGAIN || count === -EIO || count === 0) return false;
        check(count, () => "reading the output of a builder");
        onLog(Uint8Array.prototype.slice.call(buffer, 0, count));
      }
      return true;
    },
    close: () => close(master),
  };
}
