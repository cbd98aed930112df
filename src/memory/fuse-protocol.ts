/** Numbers of the kernel's FUSE protocol, version 7.31 (linux/fuse.h): the few that one read-only file needs. */
export const opcode = {
  forget: 2,
  getattr: 3,
  open: 14,
  read: 15,
  statfs: 17,
  release: 18,
  flush: 25,
  init: 26,
  access: 34,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
} as const;

/** What the kernel is told unasked; a message of this kind answers no request, whose number is 0 then. */
export const notice = { store: 4 } as const;

export const version = { major: 7, minor: 31 } as const;

/** Error numbers of Linux, as replies carry them. */
export const errno = { io: 5, noSystemCall: 38, readOnly: 30, invalid: 22 } as const;

export const headerBytes = { request: 40, reply: 16 } as const;

/** The one file is the root of its file system; the kernel calls that node 1, and inode 1 is what others see. */
export const rootNode = 1;

/** The kernel never sends less room for a request than this, and no request of ours is longer. */
export const requestBytesMax = 64 * 1024;
