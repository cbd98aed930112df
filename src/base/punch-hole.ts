import koffi from "koffi";

/** From Linux's falloc.h: leave the size of the file alone; give the space back. */
const keepSize = 1;
const punchHoleMode = 2;

const fallocate = koffi
  .load(null)
  .func("int fallocate(int fd, int mode, int64_t offset, int64_t length)") as unknown as (
  fd: number,
  mode: number,
  offset: number,
  length: number,
) => number;

/** Gives the space of a stretch of a file back to the file system; it reads as zeros from now on. */
export function punchHole(fd: number, offset: number, length: number): void {
  if (fallocate(fd, keepSize | punchHoleMode, offset, length) === 0) return;
  const number = koffi.errno();
  const [code = "EIO"] = Object.entries(koffi.os.errno).find(([, value]) => value === number) ?? [];
  throw Object.assign(new Error(`space could not be given back (${code})`), { code });
}
