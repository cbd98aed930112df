import { closeSync, constants, fchownSync, fstatSync, openSync } from "node:fs";
import { Failure } from "../../base/failure.ts";
import { errnoError, type Foreign, type Koffi } from "./foreign.ts";
import type { User } from "./users.ts";

export interface TerminalSize {
  readonly cols: number;
  readonly rows: number;
}

/** A pseudo-terminal: what is written to one end is read from the other. Its owner closes both descriptors. */
export interface Terminal {
  readonly ourEnd: number;
  readonly theirEnd: number;
}

export interface Terminals {
  /** Makes one that belongs to `user`. */
  make(user: User, size: TerminalSize): Terminal;
  /** Tells the programs on it as well. */
  resize(ourEnd: number, size: TerminalSize): void;
}

// From the kernel's uapi, ioctls.h; the same on x86 and ARM.
const unlockRequest = 0x40045431;
const numberRequest = 0x80045430;
const sizeRequest = 0x5414;
const sizeMax = 65_535;

/** Terminals of the kernel's own making, by the system calls that Node lacks. */
export function terminalsOf(koffi: Koffi): Terminals {
  const ioctl = koffi.load(null).func("int ioctl(int, unsigned long, void *)") as unknown as Foreign<
    [number, number, Buffer]
  >;
  const control = (fd: number, request: number, argument: Buffer, what: string): Buffer => {
    if (ioctl(fd, request, argument) !== 0) throw errnoError(koffi, what);
    return argument;
  };
  const resize = (ourEnd: number, { cols, rows }: TerminalSize) => {
    // 0 is what the kernel itself says of a size that nobody knows: clients without a screen pass it on.
    if (Math.max(cols, rows) > sizeMax)
      throw new Failure("invalid", `a terminal has up to ${sizeMax} columns and rows`);
    // struct winsize: rows, columns, and two sizes in pixels that nobody uses
    control(ourEnd, sizeRequest, Buffer.from(Uint16Array.of(rows, cols, 0, 0).buffer), "TIOCSWINSZ");
  };
  const make = (user: User, size: TerminalSize): Terminal => {
    const flags = constants.O_RDWR | constants.O_NOCTTY;
    const ourEnd = openSync("/dev/ptmx", flags);
    try {
      control(ourEnd, unlockRequest, Buffer.alloc(4), "TIOCSPTLCK");
      const number = control(ourEnd, numberRequest, Buffer.alloc(4), "TIOCGPTN").readUInt32LE();
      resize(ourEnd, size);
      const theirEnd = openSync(`/dev/pts/${number}`, flags);
      if (process.getuid?.() === 0) fchownSync(theirEnd, user.uid, fstatSync(theirEnd).gid);
      return { ourEnd, theirEnd };
    } catch (error) {
      closeSync(ourEnd);
      throw error;
    }
  };
  return { make, resize };
}
