import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { Failure } from "../base/failure.ts";
import { blockBytes, chunkBytes, imageArtifacts } from "./artifact.ts";
import type { IndexLayout, Run, StoredChunk } from "./artifact-index.ts";
import { brokenRule, indexLimits } from "./index-rules.ts";
import { VarintReader, VarintWriter } from "./varint.ts";

/** The first bytes of every index. */
const magic = Buffer.from("LARDERIX");
/** Version of the format; docs/formats.md describes each. */
export const indexVersion = 1;
/** Magic, version (1 byte), artifact (1 byte), bytes of the numbers (4), of the names: builds and digests (4). */
const headerBytes = 18;
const checksumBytes = 4;
const uuidBytes = 16;
const digestBytes = 32;

/** Numbers, then the names of builds and chunks, then a CRC-32 over all of it. Layout: docs/formats.md, "Index". */
export function encodeLayout(layout: IndexLayout): Buffer {
  const broken = brokenRule(layout);
  assert.ok(broken === null, `an index must not have ${broken}`);
  const builds = buildsOf(layout.build, layout.runs);
  const numbers = encodeNumbers(layout, builds);
  const names = Buffer.concat([
    ...builds.map((build) => Buffer.from(build.replaceAll("-", ""), "hex")),
    ...layout.chunks.flatMap((chunk) => chunk?.digest ?? []),
  ]);
  const header = Buffer.alloc(headerBytes);
  magic.copy(header);
  header[8] = indexVersion;
  header[9] = imageArtifacts.indexOf(layout.artifact);
  header.writeUInt32BE(numbers.length, 10);
  header.writeUInt32BE(names.length, 14);
  const checksum = Buffer.alloc(checksumBytes);
  checksum.writeUInt32BE(crc32(names, crc32(numbers, crc32(header))));
  const bytes = Buffer.concat([header, numbers, names, checksum]);
  if (bytes.length > indexLimits.indexBytesMax)
    throw new Failure("exhausted", `an index of ${bytes.length} bytes is too large`);
  return bytes;
}

function encodeNumbers(layout: IndexLayout, builds: string[]): Buffer {
  const ordinal = new Map(builds.map((build, i) => [build, i + 1]));
  const out = new VarintWriter();
  for (const value of [layout.deviceBytes, layout.storageBytes]) out.write(value / blockBytes);
  out.write(builds.length);
  out.write(layout.runs.length);
  for (const run of layout.runs) out.write(run.length / blockBytes);
  for (const run of layout.runs) out.write(run.build === null ? 0 : (ordinal.get(run.build) ?? 0));
  for (const run of layout.runs) if (run.build !== null) out.write(run.storageOffset / blockBytes);
  for (const chunk of layout.chunks) {
    out.write(chunk === null ? 0 : chunk.packedBytes * 2 + (chunk.codec === "raw" ? 1 : 0));
  }
  return out.end();
}

/** Throws `corrupt` for anything that `encodeLayout` would not have written, `invalid` for a newer version. */
export function decodeLayout(bytes: Uint8Array): IndexLayout {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { numbers, names, artifact } = openEnvelope(all);
  const reader = new VarintReader(numbers);
  const deviceBytes = reader.read() * blockBytes;
  const storageBytes = reader.read() * blockBytes;
  const buildCount = reader.read();
  const runCount = reader.read();
  const chunkCount = Math.ceil(storageBytes / chunkBytes);
  // Every entry takes at least a byte: larger counts are lies, told before memory is taken for them.
  if (buildCount < 1 || buildCount > indexLimits.buildsMax + 1) throw damaged(`${buildCount} builds`);
  if (runCount > numbers.length || chunkCount > numbers.length) throw damaged("more entries than bytes");
  const builds = Array.from({ length: buildCount }, (_, i) =>
    uuidOf(names.subarray(i * uuidBytes, (i + 1) * uuidBytes)),
  );
  const build = builds[0] ?? "";
  const runs = readRuns(reader, runCount, builds);
  const chunks = readChunks(reader, chunkCount, names.subarray(buildCount * uuidBytes));
  if (!reader.done) throw damaged("numbers left over");
  const layout: IndexLayout = { build, artifact, deviceBytes, storageBytes, runs, chunks };
  const broken = brokenRule(layout);
  if (broken !== null) throw damaged(broken);
  if (buildsOf(build, runs).join() !== builds.join()) throw damaged("builds out of order");
  return layout;
}

/** The table of builds: the index's own first, the others in the order in which the runs name them. */
function buildsOf(own: string, runs: readonly Run[]): string[] {
  const builds = new Set([own]);
  for (const { build } of runs) if (build !== null) builds.add(build);
  return [...builds];
}

function openEnvelope(all: Buffer) {
  if (all.length < headerBytes + checksumBytes || !all.subarray(0, 8).equals(magic))
    throw damaged("no header");
  if (all.length > indexLimits.indexBytesMax) throw damaged(`${all.length} bytes`);
  // Before the version is believed: every version begins with the magic and ends with the checksum.
  const body = all.subarray(0, all.length - checksumBytes);
  if (crc32(body) !== all.readUInt32BE(body.length)) throw damaged("a wrong checksum");
  const version = all[8] ?? 0;
  if (version > indexVersion) {
    throw new Failure(
      "invalid",
      `the index has format version ${version}; this program reads up to ${indexVersion}`,
    );
  }
  const artifact = imageArtifacts[all[9] ?? 255];
  const numberBytes = all.readUInt32BE(10);
  const namesAt = headerBytes + numberBytes;
  if (artifact === undefined || version < 1) throw damaged("an unknown artifact or version");
  if (namesAt + all.readUInt32BE(14) !== body.length) throw damaged("a wrong length");
  return { artifact, numbers: body.subarray(headerBytes, namesAt), names: body.subarray(namesAt) };
}

function readRuns(reader: VarintReader, count: number, builds: string[]): Run[] {
  const lengths = Array.from({ length: count }, () => reader.read() * blockBytes);
  const holders = Array.from({ length: count }, () => {
    const ordinal = reader.read();
    const build = ordinal === 0 ? null : builds[ordinal - 1];
    if (build === undefined) throw damaged(`a run of build ${ordinal}`);
    return build;
  });
  let offset = 0;
  return lengths.map((length, i) => {
    const build = holders[i] ?? null;
    const run: Run = {
      offset,
      length,
      build,
      storageOffset: build === null ? 0 : reader.read() * blockBytes,
    };
    offset += length;
    return run;
  });
}

function readChunks(reader: VarintReader, count: number, digests: Buffer): StoredChunk[] {
  let at = 0;
  const chunks = Array.from({ length: count }, (): StoredChunk => {
    const number = reader.read();
    if (number === 0) return null;
    const digest = digests.subarray(at, at + digestBytes);
    at += digestBytes;
    return { digest, packedBytes: Math.floor(number / 2), codec: number % 2 === 1 ? "raw" : "zstd" };
  });
  if (at !== digests.length) throw damaged("a wrong number of digests");
  return chunks;
}

function uuidOf(bytes: Buffer): string {
  if (bytes.length !== uuidBytes) throw damaged("builds cut off");
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function damaged(what: string): Failure {
  return new Failure("corrupt", `the index is damaged: ${what}`);
}
