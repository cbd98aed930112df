import { hash } from "node:crypto";
import { open, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { together } from "../base/together.ts";
import { fileArtifacts, type ImageArtifact, imageArtifacts } from "./artifact.ts";
import {
  type BuildInput,
  type DeviceRange,
  encodeManifest,
  type FileEntry,
  type MachineShape,
  type Manifest,
  manifestVersion,
} from "./manifest.ts";
import { type ChildImage, indexPath, packLayer, packPath } from "./pack-layer.ts";

/** What a build is made of on this node, before it is anywhere else. */
export interface BuildParts {
  /** Paths of what each image stores itself. */
  readonly images: Readonly<Partial<Record<ImageArtifact, string | ChildImage>>>;
  /** On the device `rootfs`. */
  readonly agentDisk?: DeviceRange;
  /** A path. */
  readonly snapfile?: string;
  readonly metafile: Buffer;
  readonly shape?: MachineShape;
  /** In the bucket before the build is published. */
  readonly inputs: readonly BuildInput[];
}

export interface MakeBuildOptions extends BuildParts {
  readonly build: string;
  readonly createdAt: string;
  /** Gets packs, indexes, files and manifest; the parts may lie there too. */
  readonly directory: string;
  readonly onProgress?: (what: string, fraction: number) => void;
}

export interface MadeBuild {
  readonly manifest: Manifest;
  readonly directory: string;
}

/** The name of a made build's manifest, below its directory. A directory without one was not finished. */
export const madeManifestName = "manifest.json";

/** Where what an image stores itself lies, below the directory of a made build. */
export function dataPath(directory: string, artifact: ImageArtifact): string {
  return path.join(directory, `${artifact}.data`);
}

/**
 * Makes a build of its parts: everything that a publication puts, with the manifest last, all of it on the disk when
 * this resolves. Nothing is published.
 */
export async function makeBuild(options: MakeBuildOptions, signal: AbortSignal): Promise<MadeBuild> {
  const { build, createdAt, directory, images, agentDisk, snapfile, metafile, shape, inputs } = options;
  const there = imageArtifacts.filter((artifact) => images[artifact] !== undefined);
  const [layers] = await together(
    [
      (signal) => packAll(options, there, signal),
      // What is copied from the machine is written out while it is being packed.
      () => syncAll(there.map((artifact) => pathOf(images[artifact]))),
    ],
    signal,
  );
  await writeFile(path.join(directory, "metafile"), metafile, { mode: 0o600 });
  const state = snapfile === undefined ? undefined : await readFile(snapfile);
  const manifest: Manifest = {
    ...{ formatVersion: manifestVersion, build, createdAt },
    ancestors: layers.flatMap(({ ancestors }) => ancestors),
    ...Object.fromEntries(layers.map(({ entry, index }) => [index.artifact, entry])),
    ...(agentDisk === undefined ? {} : { agentDisk }),
    ...(state === undefined ? {} : { snapfile: entryOf(state) }),
    metafile: entryOf(metafile),
    ...(shape === undefined ? {} : { shape }),
    inputs: [...inputs],
  };
  const files = fileArtifacts.filter((artifact) => manifest[artifact] !== undefined);
  await syncAll([
    ...there.flatMap((artifact) => [packPath(directory, artifact), indexPath(directory, artifact)]),
    ...files.map((artifact) => path.join(directory, artifact)),
  ]);
  const target = path.join(directory, madeManifestName);
  await writeFile(target, encodeManifest(manifest), { mode: 0o600 });
  await syncAll([target, directory]);
  return { manifest, directory };
}

async function packAll(
  { build, images, directory, onProgress }: MakeBuildOptions,
  artifacts: readonly ImageArtifact[],
  signal: AbortSignal,
) {
  const layers = [];
  for (const artifact of artifacts) {
    const image = images[artifact];
    if (image === undefined) continue;
    const progress = (fraction: number) => onProgress?.(artifact, fraction);
    layers.push(await packLayer({ build, artifact, image, directory, onProgress: progress }, signal));
  }
  return layers;
}

function pathOf(image: string | ChildImage | undefined): string {
  return typeof image === "object" ? image.path : (image ?? "");
}

function entryOf(bytes: Buffer): FileEntry {
  return { bytes: bytes.length, digest: hash("sha256", bytes) };
}

async function syncAll(paths: readonly string[]): Promise<void> {
  await Promise.all(
    paths.map(async (each) => {
      await using file = await open(each, "r");
      await file.sync();
    }),
  );
}
