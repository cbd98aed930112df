import { hash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import type { ImageArtifact } from "./artifact.ts";
import type { ArtifactIndex } from "./artifact-index.ts";
import type { Ancestor, ImageEntry, Manifest } from "./manifest.ts";
import { type Change, mergeIndex } from "./merge-index.ts";
import { packImage } from "./pack-image.ts";

/** An image that is its parent's but for some changes. */
export interface ChildImage {
  /** A file of the changes that are not zeros, one after the other. */
  readonly path: string;
  readonly changes: readonly Change[];
  readonly parent: { readonly manifest: Manifest; readonly index: ArtifactIndex };
}

export interface PackLayerOptions {
  readonly build: string;
  readonly artifact: ImageArtifact;
  /** A path for the whole device of a base. */
  readonly image: string | ChildImage;
  /** Gets `<artifact>.pack` and `<artifact>.index`. */
  readonly directory: string;
  readonly onProgress?: (fraction: number) => void;
}

export interface PackedLayer {
  readonly index: ArtifactIndex;
  readonly entry: ImageEntry;
  readonly ancestors: readonly Ancestor[];
}

export function packPath(directory: string, artifact: ImageArtifact): string {
  return path.join(directory, `${artifact}.pack`);
}

export function indexPath(directory: string, artifact: ImageArtifact): string {
  return path.join(directory, `${artifact}.index`);
}

/** Packs an image, and writes the index of what was packed beside it. */
export async function packLayer(options: PackLayerOptions, signal: AbortSignal): Promise<PackedLayer> {
  const { build, artifact, image, directory, onProgress } = options;
  const rest = onProgress === undefined ? {} : { onProgress };
  const source =
    typeof image === "string"
      ? { image }
      : {
          image: image.path,
          child: {
            ...mergeIndex(image.parent.index, build, image.changes),
            deviceBytes: image.parent.index.deviceBytes,
          },
        };
  const pack = packPath(directory, artifact);
  const index = await packImage({ build, artifact, pack, ...source, ...rest }, signal);
  const ancestors = typeof image === "string" ? [] : ancestorsOf(index, image.parent.manifest);
  const encoded = index.encode();
  await writeFile(indexPath(directory, artifact), encoded, { mode: 0o600 });
  const entry: ImageEntry = {
    bytes: index.deviceBytes,
    storageBytes: index.storageBytes,
    packBytes: index.packBytes,
    index: { bytes: encoded.length, digest: hash("sha256", encoded) },
  };
  return { index, entry, ancestors };
}

/** Where the index of each build lies that this one refers to: known from the parent's manifest, never guessed. */
function ancestorsOf(index: ArtifactIndex, parent: Manifest): Ancestor[] {
  const { artifact } = index;
  const others = index.builds().filter((build) => build !== index.build);
  return others.map((build) => {
    const own = build === parent.build ? parent[artifact]?.index : undefined;
    const known =
      own === undefined
        ? parent.ancestors.find((ancestor) => ancestor.build === build && ancestor.artifact === artifact)
        : { build, artifact, index: own };
    if (known !== undefined) return known;
    throw new Failure(
      "invalid",
      `${artifact} of build ${parent.build} says nothing of its ancestor ${build}`,
    );
  });
}
