import { randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { copyFile, link, mkdir, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import type { Clock } from "../base/clock.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { type MadeBuild, makeBuild } from "../build/make-build.ts";
import {
  type BuildInput,
  type DeviceRange,
  type InputName,
  isBuildId,
  type MachineShape,
} from "../build/manifest.ts";
import { fileEntry, putBlob } from "../build/put-blob.ts";
import { putMadeBuild, readMadeManifest } from "../build/put-made-build.ts";
import type { Snapshot } from "./first-boot.ts";

/** A build for a template that is whole on this disk, and not yet what a name leads to. */
export interface MadeTemplate extends MadeBuild {
  readonly recipe: string;
  readonly shape: MachineShape;
}

export interface TemplateParts {
  /** Its root disk gets the agent's behind it. */
  readonly snapshot: Snapshot;
  /** A path. */
  readonly agentDisk: string;
  readonly inputs: readonly { readonly name: InputName; readonly path: string }[];
  readonly recipe: string;
  readonly shape: MachineShape;
  readonly createdAt: string;
  readonly onProgress: (what: string, fraction: number) => void;
}

const pieceBytes = 2 ** 20;
const factsName = "template.json";
const facts = z.object({ recipe: z.string() });

/**
 * Packs a machine that was stopped into a directory of its own below `place`: all that a publish puts, inputs
 * included, so that it can go on after a restart (C27).
 */
export async function makeTemplate(
  place: string,
  parts: TemplateParts,
  signal: AbortSignal,
): Promise<MadeTemplate> {
  const { snapshot, recipe, shape, createdAt, onProgress } = parts;
  const build = randomUUID();
  const directory = path.join(place, build);
  await mkdir(path.join(directory, "inputs"), { recursive: true, mode: 0o700 });
  try {
    const inputs: BuildInput[] = [];
    for (const { name, path: file } of parts.inputs) {
      const own = inputPath(directory, name);
      await linkOrCopy(file, own);
      inputs.push({ name, ...(await fileEntry(own, signal)) });
    }
    await writeFile(path.join(directory, factsName), JSON.stringify({ recipe }));
    await syncAll(directory, [factsName, "inputs", ...inputs.map(({ name }) => path.join("inputs", name))]);
    const { rootfs, memfile, metafile, firstpages } = snapshot;
    const snapfile = path.join(directory, "snapfile");
    await linkOrCopy(snapshot.snapfile, snapfile);
    const agentDisk = await putBehind(rootfs, parts.agentDisk, signal);
    const images = { rootfs, memfile, ...(firstpages === undefined ? {} : { firstpages }) };
    const own = { images, agentDisk, snapfile, metafile, shape, inputs };
    const { manifest } = await makeBuild({ ...own, build, createdAt, directory, onProgress }, signal);
    return { manifest, directory, recipe, shape };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

/** What a run that was interrupted left below `place`, whole; what is not is removed. */
export async function madeTemplates(place: string): Promise<MadeTemplate[]> {
  const found: MadeTemplate[] = [];
  const names: string[] = await readdir(place).catch(() => []);
  for (const name of names.sort()) {
    const directory = path.join(place, name);
    const manifest = isBuildId(name) ? await readMadeManifest(directory, name) : undefined;
    const text = await readFile(path.join(directory, factsName), "utf8").catch(() => "");
    const known = manifest === undefined ? undefined : facts.safeParse(JSON.parse(text || "null")).data;
    if (manifest?.shape !== undefined && known !== undefined)
      found.push({ manifest, directory, recipe: known.recipe, shape: manifest.shape });
    else await rm(directory, { recursive: true, force: true });
  }
  return found;
}

/** Publishes it, the manifest last. Called again after it broke off, it goes on where that was. */
export async function putTemplate(
  bucket: Bucket,
  { manifest, directory }: MadeTemplate,
  clock: Pick<Clock, "now">,
  signal: AbortSignal,
): Promise<void> {
  const tools = { clock, leaving: signal };
  for (const { name } of manifest.inputs) await putBlob(bucket, inputPath(directory, name), tools, signal);
  await putMadeBuild({ bucket, made: { manifest, directory }, ...tools }, signal);
}

function inputPath(directory: string, name: InputName): string {
  return path.join(directory, "inputs", name);
}

/** Makes two disks one device, of which each machine gets both: they come and go together. */
async function putBehind(rootDisk: string, agentDisk: string, signal: AbortSignal): Promise<DeviceRange> {
  const [{ size: offset }, { size: bytes }] = await Promise.all([stat(rootDisk), stat(agentDisk)]);
  const onto = createWriteStream(rootDisk, { flags: "r+", start: offset });
  await pipeline(createReadStream(agentDisk, { highWaterMark: pieceBytes }), onto, { signal });
  return { offset, bytes };
}

/** The same bytes under another name; on another file system that is a copy. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to));
}

async function syncAll(directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await using file = await open(path.join(directory, name), "r");
    await file.sync();
  }
}
