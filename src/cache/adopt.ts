import { hash } from "node:crypto";
import path from "node:path";
import { ignore } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";
import { fileArtifacts, type ImageArtifact, imageArtifacts } from "../build/artifact.ts";
import { ArtifactIndex } from "../build/artifact-index.ts";
import { dataPath, type MadeBuild, madeManifestName } from "../build/make-build.ts";
import { ChunkSet } from "./chunk-set.ts";
import type { Disk } from "./disk.ts";
import { freshBuild, type KeptBuild, Ledger } from "./ledger.ts";
import { isFlat } from "./mapped-memory.ts";
import { readWhole } from "./read-whole.ts";
import type { Room } from "./room.ts";
import { buildDirectory, type Shelf } from "./shelf.ts";
import type { WholeFiles } from "./whole-files.ts";

export interface AdoptTools {
  readonly shelf: Pick<Shelf, "directory" | "disk" | "journal">;
  readonly room: Room;
  readonly files: WholeFiles;
}

/**
 * Puts a build that was made on this node on its shelf, as if all of it had been fetched: whole, durable and kept when
 * this resolves. The files are linked, not moved: whoever made them publishes them. Files first, journal after: what a
 * crash leaves in between is explained by no record. Waits for room within `signal`'s time (C18).
 */
export async function adopt(
  made: MadeBuild,
  { shelf, room, files }: AdoptTools,
  usedAt: number,
  signal: AbortSignal,
): Promise<void> {
  const { build } = made.manifest;
  const { disk, journal } = shelf;
  const chunks = imageArtifacts.reduce((sum, each) => sum + (made.manifest[each]?.storageBytes ?? 0), 0);
  using reserved = await room.reserve(fileBytes(made) + chunks, `build ${build}`, signal);
  const directory = buildDirectory(shelf.directory, build);
  try {
    await disk.makeDirectory(directory);
    const images = await bringFiles(made, disk, directory);
    const manifest = await readWhole(disk, path.join(directory, madeManifestName));
    const kept = keptOf(images, { ...freshBuild(hash("sha256", manifest)), usedAt });
    const ledger = new Ledger();
    ledger.builds.set(build, kept);
    const records = ledger.records().filter((record) => "build" in record);
    await Promise.all(records.map((record) => journal.append(record)));
    for (const name of await disk.list(directory)) {
      const file = path.join(directory, name);
      if (!name.endsWith(".data")) files.count(file, (await disk.size(file)) ?? 0, reserved);
    }
    reserved.keep(images.reduce((sum, index) => sum + storedBytes(index), 0));
  } catch (error) {
    // Whatever the journal has taken of it is taken back first: what it explains, it must not lack.
    await journal.append({ type: "evicted", build }).catch(ignore);
    await files.removeBelow(directory).catch(ignore);
    throw Failure.from(error);
  }
}

/** Bytes of what is fetched whole of a build. */
function fileBytes({ manifest }: MadeBuild): number {
  const entries = [
    ...fileArtifacts.map((artifact) => manifest[artifact]),
    ...imageArtifacts.map((artifact) => manifest[artifact]?.index),
  ];
  return entries.reduce((sum, entry) => sum + (entry?.bytes ?? 0), 0);
}

async function bringFiles(
  { manifest, directory: from }: MadeBuild,
  disk: Disk,
  directory: string,
): Promise<ArtifactIndex[]> {
  const images: ArtifactIndex[] = [];
  for (const artifact of imageArtifacts) {
    if (manifest[artifact] === undefined) continue;
    images.push(await adoptIndex(disk, { from, to: directory }, artifact, manifest.build));
    await disk.link(dataPath(from, artifact), dataPath(directory, artifact));
  }
  for (const name of [...fileArtifacts, madeManifestName]) {
    if (name === "snapfile" && manifest.snapfile === undefined) continue;
    await disk.link(path.join(from, name), path.join(directory, name));
  }
  if (images.some(isMappable)) await disk.protect(dataPath(directory, "memfile"));
  await disk.syncDirectory(directory);
  await disk.syncDirectory(path.dirname(directory));
  return images;
}

function keptOf(images: readonly ArtifactIndex[], fresh: KeptBuild): KeptBuild {
  const chunks = new Map(images.map((index) => [index.artifact, storedChunks(index)]));
  return { ...fresh, chunks, sealed: images.some(isMappable) };
}

function isMappable(index: ArtifactIndex): boolean {
  return index.artifact === "memfile" && isFlat(index);
}

function storedBytes(index: ArtifactIndex): number {
  let bytes = 0;
  for (const chunk of storedChunks(index)) bytes += index.chunk(chunk).bytes;
  return bytes;
}

async function adoptIndex(
  disk: Disk,
  { from, to }: { readonly from: string; readonly to: string },
  artifact: ImageArtifact,
  build: string,
): Promise<ArtifactIndex> {
  const name = `${artifact}.index`;
  await disk.link(path.join(from, name), path.join(to, name));
  return ArtifactIndex.decode(await readWhole(disk, path.join(to, name)), { build, artifact });
}

function storedChunks(index: ArtifactIndex): ChunkSet {
  const stored = new ChunkSet();
  for (const [chunk, place] of index.layout.chunks.entries()) if (place !== null) stored.add(chunk);
  return stored;
}
