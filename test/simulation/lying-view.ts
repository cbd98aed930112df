import type { ImageArtifact } from "../../src/build/artifact.ts";
import type { OfferedBuild, OfferedImage, Offering } from "../../src/peers/offering.ts";

/** The same shelf, as one shows it who lies: each chunk has its first byte changed. */
export function lyingView(view: Offering): Offering {
  return {
    claim: (build) => {
      const claimed = view.claim(build);
      return claimed === undefined ? undefined : lyingBuild(claimed);
    },
  };
}

function lyingBuild(build: OfferedBuild): OfferedBuild {
  return {
    get leased() {
      return build.leased;
    },
    kept: async (artifact: ImageArtifact, signal: AbortSignal) => {
      const image = await build.kept(artifact, signal);
      return image === undefined ? undefined : lyingImage(image);
    },
    opened: async (artifact, signal) => lyingImage(await build.opened(artifact, signal)),
    get inputs() {
      return build.inputs;
    },
    keptInput: (digest) => {
      const pieces = build.keptInput(digest);
      return pieces === undefined ? undefined : allChanged(pieces);
    },
    fetchedInput: async (digest, signal) => allChanged(await build.fetchedInput(digest, signal)),
    [Symbol.asyncDispose]: () => build[Symbol.asyncDispose](),
  };
}

function lyingImage(image: OfferedImage): OfferedImage {
  return {
    chunkCount: image.chunkCount,
    has: (chunk) => image.has(chunk),
    read: (chunk) => {
      const bytes = image.read(chunk);
      return bytes === undefined ? undefined : changed(bytes);
    },
    fetched: async (chunk, signal) => changed(await image.fetched(chunk, signal)),
  };
}

function changed(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.from(bytes);
  copy[0] = (copy[0] ?? 0) ^ 1;
  return copy;
}

async function* allChanged(pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  for await (const piece of pieces) yield changed(piece);
}
