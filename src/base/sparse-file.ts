import koffi from "koffi";

/** From Linux's fs.h: the next data, the next hole, at or after an offset. */
const seekData = 3;
const seekHole = 4;
/** errno of lseek when there is no data after the offset. */
const noSuchAddress = "ENXIO";

const lseek = koffi.load(null).func("int64_t lseek(int fd, int64_t offset, int whence)");

/** A stretch of a file that may hold data; what lies between two is a hole and reads as zeros. */
export interface DataRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * The data of an open file of `bytes` bytes, in order. On a file system that knows no holes it is all data.
 * The descriptor's own position moves; positioned reads do not care.
 */
export function dataRanges(fd: number, bytes: number): DataRange[] {
  const ranges: DataRange[] = [];
  for (let at = 0; at < bytes; ) {
    const start = Number(lseek(fd, at, seekData));
    if (start < 0) {
      if (koffi.errno() === koffi.os.errno[noSuchAddress]) return ranges;
      return [{ offset: 0, length: bytes }];
    }
    if (start >= bytes) return ranges;
    const hole = Number(lseek(fd, start, seekHole));
    // A file system that finds the data but not its end: all that is left may be data.
    const end = hole <= start ? bytes : Math.min(bytes, hole);
    ranges.push({ offset: start, length: end - start });
    at = end;
  }
  return ranges;
}
