import assert from "node:assert/strict";
import path from "node:path";
import { chunkBytes, type ImageArtifact } from "../../src/build/artifact.ts";
import { parseLines } from "../../src/cache/journal-record.ts";
import type { Library } from "./library.ts";
import type { Node } from "./node.ts";
import type { SimulatedDisk } from "./simulated-disk.ts";
import type { SimulatedFile } from "./simulated-file.ts";

/** What is kept by the records of a journal: build → `artifact` → chunks. Counted here, not by who is checked. */
export function keptOn(disk: SimulatedDisk): Map<string, Map<ImageArtifact, Set<number>>> {
  const builds = new Map<string, Map<ImageArtifact, Set<number>>>();
  const journal = disk.names.get("/shelf/journal");
  const records = parseLines(journal === undefined ? "" : contentOf(journal).toString());
  const chunksOf = (build: string, artifact: ImageArtifact) => {
    const chunks = builds.get(build)?.get(artifact) ?? new Set<number>();
    builds.get(build)?.set(artifact, chunks);
    return chunks;
  };
  for (const record of records) {
    if (record.type === "build") {
      if (!builds.has(record.build)) builds.set(record.build, new Map());
    } else if (record.type === "evicted") builds.delete(record.build);
    else if (record.type === "retired") builds.get(record.build)?.delete("memfile");
    else if (record.type === "chunks" || record.type === "dropped") {
      const chunks = chunksOf(record.build, record.artifact);
      for (const [first, count] of record.ranges ?? [])
        for (let chunk = first; chunk < first + count; chunk++) {
          if (record.type === "chunks") chunks.add(chunk);
          else chunks.delete(chunk);
        }
    }
  }
  return builds;
}

/** C21: after a crash, whatever the journal says is kept lies there, byte for byte. */
export function checkKept(library: Library, disk: SimulatedDisk, shelf: string): void {
  for (const [build, artifacts] of keptOn(disk)) {
    assert.ok(disk.names.has(path.join(shelf, "builds", build, "manifest.json")), "C21: a manifest is kept");
    for (const [artifact, numbers] of artifacts) {
      const file = disk.names.get(path.join(shelf, "builds", build, `${artifact}.data`));
      for (const chunk of numbers) {
        const expected = library.chunks.get(`${build}/${artifact}`)?.[chunk] ?? Buffer.alloc(0);
        const bytes = Buffer.alloc(expected.length);
        file?.read(bytes, chunk * chunkBytes);
        assert.ok(bytes.equals(expected), `C21: chunk ${chunk} of ${artifact} of ${build} is kept`);
      }
    }
  }
}

/** C15, C18: nobody holds anything, and the budget counts exactly what the disk holds. */
export function checkBooks(node: Node, disk: SimulatedDisk): void {
  const { bytes, leases } = node.cache.inspect();
  assert.deepEqual(leases, [], "C15: leases are left");
  assert.equal(bytes.reserved, 0, "C18: room is reserved that nobody uses");
  const held = bytesOn(disk);
  const names = [...disk.names].map(([name, file]) => `${name} ${file.bytes}`).join("\n");
  assert.ok(
    bytes.kept === held,
    `C18: the budget counts ${bytes.kept} bytes, the disk holds ${held}:\n${names}`,
  );
}

/** C19, C27: when all is evicted there is nothing but the journal; what was published has left no copy. */
export function checkEmpty(node: Node, disk: SimulatedDisk): void {
  assert.equal(node.cache.inspect().bytes.kept, 0, "C19: bytes are counted that are not there");
  const files = [...disk.names.keys()].filter((name) => name.startsWith("/shelf/"));
  assert.deepEqual(files, ["/shelf/journal"], "C19: files are left");
  const copies = [...disk.names.keys()].filter((name) => name.startsWith("/unpublished/"));
  assert.deepEqual(copies, [], "C27: copies of what was published are left");
  const left = [...disk.directories].filter((name) => path.dirname(name) === "/shelf/builds");
  assert.deepEqual(left, [], "C19: directories are left");
}

function bytesOn(disk: SimulatedDisk): number {
  let bytes = 0;
  for (const [name, file] of disk.names) {
    if (name === "/shelf/journal" || !name.startsWith("/shelf/")) continue;
    bytes += name.endsWith(".data") ? chunkBytesIn(file) : file.bytes;
  }
  return bytes;
}

function chunkBytesIn(file: SimulatedFile): number {
  const chunks = new Set(file.dataRanges(file.bytes).map(({ offset }) => Math.floor(offset / chunkBytes)));
  let bytes = 0;
  for (const chunk of chunks) bytes += Math.min(chunkBytes, file.bytes - chunk * chunkBytes);
  return bytes;
}

function contentOf(file: SimulatedFile): Buffer {
  const bytes = Buffer.alloc(file.bytes);
  file.read(bytes, 0);
  return bytes;
}
