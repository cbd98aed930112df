/** One entry of an archive. Everything belongs to root. */
export type CpioEntry =
  | { readonly kind: "file"; readonly path: string; readonly mode: number; readonly data: Uint8Array }
  | { readonly kind: "directory"; readonly path: string; readonly mode: number }
  | {
      readonly kind: "device";
      readonly path: string;
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    };

/** Type bits of a mode, as in <linux/stat.h>: S_IFREG, S_IFDIR, S_IFCHR. */
const typeBits = { file: 0o100000, directory: 0o040000, device: 0o020000 } as const;

/**
 * An archive in cpio's "newc" format, which the kernel unpacks as its first root file system
 * (Documentation/driver-api/early-userspace/buffer-format.rst of the kernel). Directories must come before what
 * lies in them. The same entries give the same bytes: there are no times in it.
 */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.flatMap((entry, index) => record(entry, index + 1));
  parts.push(...record({ kind: "file", path: "TRAILER!!!", mode: 0, data: new Uint8Array() }, 0, true));
  return Buffer.concat(parts);
}

function record(entry: CpioEntry, inode: number, trailer = false): Buffer[] {
  const data = entry.kind === "file" ? entry.data : new Uint8Array();
  const name = Buffer.from(`${entry.path}\0`);
  const device = entry.kind === "device" ? [entry.major, entry.minor] : [0, 0];
  const fields = [
    inode,
    trailer ? 0 : typeBits[entry.kind] | entry.mode,
    0, // uid
    0, // gid
    entry.kind === "directory" ? 2 : 1, // links
    0, // modification time
    data.byteLength,
    0, // device the file lies on, major and minor
    0,
    ...device,
    name.byteLength,
    0, // checksum, unused in this format
  ];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`);
  return [
    header,
    name,
    padding(header.byteLength + name.byteLength),
    Buffer.from(data),
    padding(data.byteLength),
  ];
}

/** Names and contents begin at multiples of four. */
function padding(bytes: number): Buffer {
  return Buffer.alloc((4 - (bytes % 4)) % 4);
}
