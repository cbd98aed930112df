import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { Failure } from "../../base/failure.ts";
import type { LendableDevice, SharedImage } from "../../base/shared-image.ts";
import { chunkBytes } from "../../build/artifact.ts";
import type { Manifest } from "../../build/manifest.ts";
import { ArtifactIndex } from "../../build/artifact-index.ts";
import type { BuildLease, MemoryParts } from "../build-source.ts";
import { encodeMetafile } from "../metafile.ts";

const entry = { bytes: 1, digest: "0".repeat(64) };

const emptyIndex = new ArtifactIndex({
  build: "00000000-0000-4000-8000-000000000000",
  artifact: "rootfs",
  deviceBytes: 2 ** 20,
  storageBytes: 0,
  runs: [{ offset: 0, length: 2 ** 20, build: null, storageOffset: 0 }],
  chunks: [],
});

const zeros: SharedImage = { bytes: 2 ** 20, runs: emptyIndex.sharedRuns, files: [] };

const manifest: Manifest = {
  formatVersion: 1,
  build: "00000000-0000-4000-8000-000000000000",
  createdAt: "2026-01-01T00:00:00Z",
  ancestors: [],
  rootfs: { bytes: 2 ** 20, storageBytes: 2 ** 20, packBytes: 0, index: entry },
  metafile: entry,
  inputs: [],
};

/** A build of 1 MiB of zeros, whose parts can be made to fail. */
export class FakeLease implements BuildLease {
  readonly manifest: Manifest;
  ended = 0;
  readonly #directory: string;
  readonly #failures: Readonly<Record<string, Failure>>;

  constructor(
    directory: string,
    failures: Readonly<Record<string, Failure>> = {},
    also: Partial<Manifest> = {},
  ) {
    this.manifest = { ...manifest, ...also };
    this.#directory = directory;
    this.#failures = failures;
  }

  async open(artifact: string): Promise<void> {
    this.#fail(artifact);
  }

  image(): LendableDevice {
    return {
      bytes: 2 ** 20,
      readNow: (_offset, into) => into.fill(0) !== undefined,
      read: async (_offset, into) => void into.fill(0),
      extents: (_offset, bytes) => [{ bytes, zero: true }],
      lend: () => ({ image: zeros, [Symbol.dispose]: () => {} }),
    };
  }

  source(artifact: string): string {
    return this.#path(artifact);
  }

  async file(artifact: string): Promise<string> {
    const file = this.#path(artifact);
    if (artifact === "metafile") await writeFile(file, sampleMetafile);
    return file;
  }

  index(): ArtifactIndex {
    return emptyIndex;
  }

  async memory(): Promise<MemoryParts> {
    return { path: this.#path("memfile"), manifest: this.manifest, index: emptyIndex, changes: [] };
  }

  async lacksMemory(): Promise<boolean> {
    return false;
  }

  async chunk(): Promise<Uint8Array> {
    return Buffer.alloc(chunkBytes);
  }

  async bring(): Promise<boolean> {
    return true;
  }

  async input(name: string): Promise<string> {
    return this.#path(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ended += 1;
  }

  #path(name: string): string {
    this.#fail(name);
    return path.join(this.#directory, name);
  }

  #fail(name: string): void {
    const failure = this.#failures[name];
    if (failure !== undefined) throw failure;
  }
}

const sampleMetafile = encodeMetafile({
  version: 1,
  user: "user",
  workdir: "/home/user",
  envs: {},
  channelSecret: "00112233445566778899aabbccddeeff",
  kernelArguments: "larder.node=--jitless",
});
