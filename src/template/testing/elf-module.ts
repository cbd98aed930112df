/** The smallest 64-bit ELF file that has a section `.modinfo` with these entries, as kernel modules have. */
export function elfModule(entries: readonly string[]): Buffer {
  const info = Buffer.from(entries.map((entry) => `${entry}\0`).join(""), "latin1");
  const names = Buffer.from("\0.shstrtab\0.modinfo\0", "latin1");
  const header = Buffer.alloc(64);
  header.write("\x7fELF\x02\x01", 0, "latin1");
  const infoAt = header.length;
  const namesAt = infoAt + info.length;
  const sectionsAt = namesAt + names.length;
  header.writeBigUInt64LE(BigInt(sectionsAt), 0x28);
  header.writeUInt16LE(64, 0x3a); // size of a section header
  header.writeUInt16LE(3, 0x3c); // how many
  header.writeUInt16LE(2, 0x3e); // which one holds the names
  const sections = [section(0, 0, 0), section(11, infoAt, info.length), section(1, namesAt, names.length)];
  return Buffer.concat([header, info, names, ...sections]);
}

function section(nameAt: number, offset: number, bytes: number): Buffer {
  const header = Buffer.alloc(64);
  header.writeUInt32LE(nameAt, 0);
  header.writeBigUInt64LE(BigInt(offset), 0x18);
  header.writeBigUInt64LE(BigInt(bytes), 0x20);
  return header;
}
