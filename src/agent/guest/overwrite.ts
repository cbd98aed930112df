import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeSync } from "node:fs";

/**
 * Writes a file in place. A file that is emptied first and then written is written to the disk at once by ext4, which
 * takes longer than all else that a machine does when it wakes up; one of the same length only changes in memory.
 */
export function overwrite(path: string, text: string): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o644);
  try {
    const bytes = writeSync(fd, text, 0, "utf8");
    if (fstatSync(fd).size > bytes) ftruncateSync(fd, bytes);
  } finally {
    closeSync(fd);
  }
}
