/** Where a stretch of a file is mapped in a process. */
export interface Mapping {
  /** Addresses, `end` not included. */
  readonly start: number;
  readonly end: number;
  /** Of the file, where the mapping begins. */
  readonly offset: number;
}

export interface FileIdentity {
  readonly dev: number;
  readonly ino: number;
}

/**
 * The mappings of one file in the text of /proc/PID/maps, in order of their offsets. The file is told by device and
 * inode: in a cage its path is another one.
 */
export function mappingsOf(maps: string, file: FileIdentity): Mapping[] {
  const mappings: Mapping[] = [];
  for (const line of maps.split("\n")) {
    const [range = "", , offset = "", device = "", inode = ""] = line.split(/\s+/, 5);
    if (Number(inode) !== file.ino || deviceNumber(device) !== file.dev) continue;
    const [start = 0, end = 0] = range.split("-").map((address) => Number.parseInt(address, 16));
    mappings.push({ start, end, offset: Number.parseInt(offset, 16) });
  }
  return mappings.sort((a, b) => a.offset - b.offset);
}

/** `major:minor` in hex as `stat` counts it (makedev of Linux, for numbers below 2^32). */
function deviceNumber(text: string): number {
  const [major = 0, minor = 0] = text.split(":").map((part) => Number.parseInt(part, 16));
  return (minor & 0xff) + (major & 0xfff) * 2 ** 8 + (minor >>> 8) * 2 ** 20;
}
