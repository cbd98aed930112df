import { Failure } from "../base/failure.ts";
import type { ArtifactIndex } from "../build/artifact-index.ts";
import type { Manifest } from "../build/manifest.ts";

/** What the memory of a machine is made of: a sealed file that it maps, and what differs from it. */
export interface MappedMemory {
  /** Of the sealed file. */
  readonly path: string;
  /** The build that the file belongs to, and its index: what a layer over it is described by. */
  readonly manifest: Manifest;
  readonly index: ArtifactIndex;
  /** The ranges of the memory that are not as in the file, in order. Their bytes: `image("memfile")`. */
  readonly changes: readonly { readonly offset: number; readonly length: number }[];
}

/** True when the artifact's file is the device itself, with holes for zeros: only such a file can be mapped. */
export function isFlat({ build, storageBytes, deviceBytes, layout }: ArtifactIndex): boolean {
  return (
    storageBytes === deviceBytes &&
    layout.runs.every(
      (run) => run.build === null || (run.build === build && run.storageOffset === run.offset),
    )
  );
}

/** The one build whose memory a layer lies over. Throws `corrupt` when there is not exactly one. */
export function buildBelow(index: ArtifactIndex): string {
  const [below, ...others] = index.builds().filter((build) => build !== index.build);
  if (below !== undefined && others.length === 0) return below;
  throw new Failure("corrupt", `the memory of build ${index.build} does not lie over one other build`);
}

/** Where `layer` differs from the memory below: what it stores, and its zeros where the other has none. */
export function changesOver(layer: ArtifactIndex, below: ArtifactIndex): MappedMemory["changes"] {
  const changes: { offset: number; length: number }[] = [];
  const add = (offset: number, length: number) => {
    const last = changes.at(-1);
    if (last !== undefined && last.offset + last.length === offset) last.length += length;
    else changes.push({ offset, length });
  };
  for (const { build, offset, length } of layer.layout.runs) {
    if (build === layer.build) add(offset, length);
    if (build !== null) continue;
    for (const piece of below.locate(offset, length))
      if (piece.build !== null) add(piece.offset, piece.length);
  }
  return changes;
}
