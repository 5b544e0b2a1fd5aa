/** Reading at an offset: pread64(2). */
import { UnexpectedEnd } from "../error.ts";
import { check, tryCall } from "./syscall.ts";

/** Fills `buffer` from `offset` on. @throws UnexpectedEnd, SystemError */
export function readAt(fd: number, buffer: Uint8Array, offset: number): void {
  for (let done = 0; done < buffer.length; ) {
    const rest = buffer.subarray(done);
    const count = check(
      tryCall("pread64", fd, rest, rest.length, offset + done),
      () => `reading from file descriptor ${fd}`,
    );
    if (count === 0) throw new UnexpectedEnd("the file", offset + done);
    done += count;
  }
}
