/** Artifacts that are devices: indexed, cut into chunks, read by range. */
export const imageArtifacts = ["rootfs", "memfile", "firstpages"] as const;
/** Artifacts that are small files: fetched whole. */
export const fileArtifacts = ["snapfile", "metafile"] as const;

export type ImageArtifact = (typeof imageArtifacts)[number];
export type FileArtifact = (typeof fileArtifacts)[number];
export type Artifact = ImageArtifact | FileArtifact;

/** The unit of verifying and keeping, in bytes. Why this size: docs/formats.md. */
export const chunkBytes = 256 * 1024;
/** The unit of the device and of the index, in bytes. */
export const blockBytes = 4096;
/** How many neighbouring chunks one request may carry (4 MiB). */
export const requestChunksMax = 16;
