import { hash } from "node:crypto";
import { chmod, copyFile, link, mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import { fileArtifacts, type ImageArtifact, imageArtifacts } from "../build/artifact.ts";
import { ArtifactIndex } from "../build/artifact-index.ts";
import { dataPath, type MadeBuild, madeManifestName } from "../build/make-build.ts";
import type { CacheTools } from "./cache-tools.ts";
import { syncDirectory } from "./journal.ts";
import { isFlat } from "./mapped-memory.ts";
import type { KeptBuild } from "./residence.ts";
import type { Room } from "./room.ts";
import { buildDirectory, recordsOf, type Shelf } from "./shelf.ts";

export interface AdoptTools {
  readonly shelf: Pick<Shelf, "directory" | "journal">;
  readonly room: Room;
  readonly tools: Pick<CacheTools, "clock">;
}

/**
 * Puts a build that was made on this node on its shelf, as if all of it had been fetched: whole, durable and kept when
 * this resolves. The files are linked, not moved: whoever made them publishes them. Files first, journal after: what a
 * crash leaves in between is explained by no record. Waits for room within `signal`'s time (C18).
 */
export async function adopt(
  made: MadeBuild,
  { shelf, room, tools }: AdoptTools,
  signal: AbortSignal,
): Promise<KeptBuild> {
  const { build } = made.manifest;
  const files = fileBytes(made);
  const chunks = imageArtifacts.reduce((sum, each) => sum + (made.manifest[each]?.storageBytes ?? 0), 0);
  using reserved = await room.reserve(files + chunks, `build ${build}`, signal);
  const directory = buildDirectory(shelf.directory, build);
  await mkdir(directory, { mode: 0o700 });
  try {
    const images = await bringFiles(made, directory);
    const manifestDigest = hash("sha256", await readFile(path.join(directory, madeManifestName)));
    const kept = keptOf(images, { manifestDigest, usedAt: tools.clock.now() });
    const records = recordsOf({ builds: new Map([[build, kept]]), blobs: new Map() });
    await Promise.all(records.map((record) => shelf.journal.append(record)));
    reserved.keep(files + images.reduce((sum, index) => sum + storedBytes(index), 0));
    return kept;
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw Failure.from(error);
  }
}

/** Bytes of what is fetched whole of a build. */
function fileBytes({ manifest }: MadeBuild): number {
  const { metafile, snapfile, rootfs, memfile } = manifest;
  const entries = [metafile, snapfile, rootfs?.index, memfile?.index];
  return entries.reduce((sum, entry) => sum + (entry?.bytes ?? 0), 0);
}

async function bringFiles(
  { manifest, directory: from }: MadeBuild,
  directory: string,
): Promise<ArtifactIndex[]> {
  const images: ArtifactIndex[] = [];
  for (const artifact of imageArtifacts) {
    if (manifest[artifact] === undefined) continue;
    images.push(await adoptIndex(from, directory, artifact, manifest.build));
    await bring(dataPath(from, artifact), dataPath(directory, artifact));
  }
  for (const name of [...fileArtifacts, madeManifestName]) {
    if (name === "snapfile" && manifest.snapfile === undefined) continue;
    await bring(path.join(from, name), path.join(directory, name));
  }
  if (images.some(isMappable)) await chmod(dataPath(directory, "memfile"), 0o444);
  await syncDirectory(directory);
  await syncDirectory(path.dirname(directory));
  return images;
}

function keptOf(
  images: readonly ArtifactIndex[],
  rest: Pick<KeptBuild, "manifestDigest" | "usedAt">,
): KeptBuild {
  const chunks = new Map(images.map((index) => [index.artifact, storedChunks(index)]));
  return { ...rest, chunks, sealed: images.some(isMappable) };
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
  from: string,
  directory: string,
  artifact: ImageArtifact,
  build: string,
): Promise<ArtifactIndex> {
  const name = `${artifact}.index`;
  await bring(path.join(from, name), path.join(directory, name));
  return ArtifactIndex.decode(await readFile(path.join(directory, name)), { build, artifact });
}

function storedChunks(index: ArtifactIndex): Set<number> {
  const stored = new Set<number>();
  for (const [chunk, place] of index.layout.chunks.entries()) if (place !== null) stored.add(chunk);
  return stored;
}

/** A second name for the file, or a copy where it lies on another disk. */
async function bring(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    await copyFile(from, to);
  }
}
