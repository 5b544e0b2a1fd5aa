/**
 * How functions of the C library are declared, whose arguments are integers and addresses: all with the same number of
 * arguments. In the calling conventions of x64 and arm64 Linux a callee does not see those that it does not take, and
 * variadic ones take them from the same registers.
 */
import type { NativeArgument } from "./interface.ts";

/** Arguments at most. */
export const maxLibraryArguments = 10;

export function padArguments(args: readonly NativeArgument[]): NativeArgument[] {
  return Array.from({ length: maxLibraryArguments }, (_, index) => args[index] ?? 0);
}
