/**
 * Pseudo-terminals: pts(4), ioctl_tty(2), termios(3). A program whose output is a terminal writes it line by line. Ours
 * are raw: bytes come out as they went in.
 */
import { close, O_NONBLOCK, O_RDWR, open } from "./descriptor.ts";
import { chmod, lchown } from "./metadata.ts";
import { check, tryCall } from "./syscall.ts";

export interface PseudoTerminal {
  /** Ours: what is written to the terminal is read here, without blocking. */
  readonly master: number;
  /** The program's side. */
  readonly slave: number;
  /** `/dev/pts/<n>` */
  readonly slaveName: string;
}

const O_NOCTTY = 0o400;
const TCGETS = 0x5401;
const TCSETS = 0x5402;
const TIOCGPTN = 0x80045430;
const TIOCSPTLCK = 0x40045431;
const TIOCGPTPEER = 0x5441;

/** `owner`: who may open the slave by its name; ourselves when undefined. @throws SystemError */
export function openPseudoTerminal(owner: number | undefined): PseudoTerminal {
  const master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
  try {
    const word = Buffer.alloc(4);
    check(tryCall("ioctl", master, TIOCSPTLCK, word), () => "unlocking a pseudo-terminal");
    check(tryCall("ioctl", master, TIOCGPTN, word), () => "getting the number of a pseudo-terminal");
    const slaveName = `/dev/pts/${word.readUInt32LE(0)}`;
    if (owner !== undefined) {
      chmod(slaveName, 0o600);
      lchown(slaveName, owner, 0);
    }
    const slave = check(tryCall("ioctl", master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC), () => {
      return `opening '${slaveName}'`;
    });
    makeRaw(slave);
    return { master, slave, slaveName };
  } catch (error) {
    close(master);
    throw error;
  }
}

const O_CLOEXEC = 0o2000000;

/** As cfmakeraw(3). */
function makeRaw(fd: number): void {
  const termios = Buffer.alloc(64); // c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc[19]
  check(tryCall("ioctl", fd, TCGETS, termios), () => "getting terminal attributes");
  clear(termios, 0, 0o2753); // IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON
  clear(termios, 4, 1); // OPOST
  clear(termios, 8, 0o460); // CSIZE PARENB
  termios.writeUInt32LE((termios.readUInt32LE(8) | 0o60) >>> 0, 8); // CS8
  clear(termios, 12, 0o100113); // ISIG ICANON ECHO ECHONL IEXTEN
  termios[17 + 5] = 0; // VTIME
  termios[17 + 6] = 1; // VMIN
  check(tryCall("ioctl", fd, TCSETS, termios), () => "putting a pseudo-terminal into raw mode");
}

function clear(termios: Buffer, offset: number, flags: number): void {
  termios.writeUInt32LE((termios.readUInt32LE(offset) & ~flags) >>> 0, offset);
}
