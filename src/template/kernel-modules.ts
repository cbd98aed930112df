import { Failure } from "../base/failure.ts";

/** What the kernel offers, by the name of a module with `_` for `-`. */
export interface ModuleSource {
  /** Modules that are part of the kernel itself. */
  readonly builtin: ReadonlySet<string>;
  /** The uncompressed file of a module; undefined when there is none. */
  read(name: string): Promise<Buffer | undefined>;
}

export interface KernelModule {
  readonly name: string;
  readonly data: Buffer;
}

/**
 * The modules wanted and all they depend on, in an order in which they can be loaded one after the other.
 * What is built into the kernel is left out. Throws `not_found` for what is neither.
 */
export async function resolveModules(
  wanted: readonly string[],
  source: ModuleSource,
): Promise<KernelModule[]> {
  const ordered: KernelModule[] = [];
  const seen = new Set<string>();
  const add = async (given: string): Promise<void> => {
    const name = given.replaceAll("-", "_");
    if (seen.has(name) || source.builtin.has(name)) return;
    seen.add(name);
    const data = await source.read(name);
    if (data === undefined) throw new Failure("not_found", `the kernel has no module ${name}`);
    for (const needed of moduleDependencies(data)) await add(needed);
    ordered.push({ name, data });
  };
  for (const name of wanted) await add(name);
  return ordered;
}

/**
 * What a module's own `depends=` names: an entry of its ELF section `.modinfo`, NUL-terminated strings
 * `key=value`.
 */
export function moduleDependencies(file: Buffer): string[] {
  const info = elfSection(file, ".modinfo")?.toString("latin1").split("\0") ?? [];
  const depends = info.find((entry) => entry.startsWith("depends="))?.slice("depends=".length) ?? "";
  return depends.split(",").filter((name) => name !== "");
}

/** A section of a 64-bit little-endian ELF file, by name; undefined when it is none or has no such section. */
function elfSection(file: Buffer, wanted: string): Buffer | undefined {
  const magic = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  if (file.byteLength < 64 || !file.subarray(0, magic.byteLength).equals(magic)) return undefined;
  const headers = {
    at: Number(file.readBigUInt64LE(0x28)),
    size: file.readUInt16LE(0x3a),
    count: file.readUInt16LE(0x3c),
  };
  if (headers.size < 64 || headers.at + headers.size * headers.count > file.byteLength) return undefined;
  const section = (index: number) => {
    const header = file.subarray(headers.at + index * headers.size);
    const [offset, bytes] = [Number(header.readBigUInt64LE(0x18)), Number(header.readBigUInt64LE(0x20))];
    return { nameAt: header.readUInt32LE(0), data: file.subarray(offset, offset + bytes) };
  };
  const nameIndex = file.readUInt16LE(0x3e);
  if (nameIndex >= headers.count) return undefined;
  const names = section(nameIndex).data;
  for (let index = 0; index < headers.count; index++) {
    const { nameAt, data } = section(index);
    const end = names.indexOf(0, nameAt);
    if (names.toString("latin1", nameAt, end < 0 ? names.byteLength : end) === wanted) return data;
  }
  return undefined;
}
