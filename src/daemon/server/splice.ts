/** Copying bytes between a pipe pair and a socket in both directions: `nix-daemon --stdio` in front of another daemon. */
import { close, read, writeAll } from "../../sys/descriptor.ts";
import { poll } from "../../sys/poll.ts";
import { isSystemError } from "../../sys/system-error.ts";
import { shutdownWriting } from "../../sys/unix-socket.ts";

const bufferSize = 64 * 1024;

/** Returns when the daemon has closed the connection. What it decides about trust is by this process's user. @throws SystemError */
export function splice(inputFd: number, outputFd: number, socket: number): void {
  const buffer = Buffer.allocUnsafe(bufferSize);
  let isInputOpen = true;
  try {
    for (;;) {
      const [fromDaemon, fromClient] = poll([
        { fd: socket, wait: "readable" },
        ...(isInputOpen ? [{ fd: inputFd, wait: "readable" } as const] : []),
      ]);
      if (fromClient?.readable) {
        const count = read(inputFd, buffer);
        if (count > 0) writeAll(socket, buffer.subarray(0, count));
        else {
          isInputOpen = false;
          shutdownWriting(socket);
        }
      }
      if (fromDaemon!.readable || fromDaemon!.hangup) {
        const count = read(socket, buffer);
        if (count === 0) return;
        writeAll(outputFd, buffer.subarray(0, count));
      }
    }
  } catch (error) {
    if (!isSystemError(error, "EPIPE", "ECONNRESET")) throw error; // one side has gone: there is nothing more to carry
  } finally {
    close(socket);
  }
}
