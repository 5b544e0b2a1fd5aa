/** Terminals: ioctl_tty(2). The request numbers are the same on x64 and arm64. */
import { tryCall } from "./syscall.ts";

const TCGETS = 0x5401;
const TIOCGWINSZ = 0x5413;

const buffer = Buffer.alloc(64);

export function isTerminal(fd: number): boolean {
  return tryCall("ioctl", fd, TCGETS, buffer) === 0;
}

/** 80 columns and 24 rows where the terminal does not say. */
export function terminalSize(fd: number): { readonly columns: number; readonly rows: number } {
  // struct winsize: rows, columns, two sizes in pixels, each of 16 bits
  const isKnown = tryCall("ioctl", fd, TIOCGWINSZ, buffer) === 0;
  const rows = isKnown ? buffer.readUInt16LE(0) : 0;
  const columns = isKnown ? buffer.readUInt16LE(2) : 0;
  return { columns: columns === 0 ? 80 : columns, rows: rows === 0 ? 24 : rows };
}
