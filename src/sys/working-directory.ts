/** The current directory, as bytes: getcwd(2). */
import { check, tryCall } from "./syscall.ts";

const buffer = Buffer.alloc(4096);

/** Absolute. @throws SystemError when it has been deleted or cannot be named */
export function workingDirectory(): string {
  const length = check(tryCall("getcwd", buffer, buffer.length), () => "getting the current directory");
  return buffer.toString("latin1", 0, length - 1); // the length counts the NUL
}
