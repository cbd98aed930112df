import { imageArtifacts } from "../build/artifact.ts";
import type { HeldLease } from "./lease.ts";

/** What was found when everything that is kept of a build was read again. */
export interface VerifyReport {
  readonly build: string;
  /** Chunks that were read. */
  readonly chunks: number;
  /** Chunks that were not what the index says; they are fetched again when somebody needs them. */
  readonly damaged: number;
}

/** Reads again what the shelf keeps of the chunks of a build, and compares it with the index. */
export async function verify(lease: HeldLease, signal: AbortSignal): Promise<VerifyReport> {
  let [chunks, damaged] = [0, 0];
  for (const artifact of imageArtifacts) {
    if (lease.manifest[artifact] === undefined) continue;
    const { file, fetcher } = await lease.residence.openImage(artifact, signal);
    for (let chunk = 0; chunk < file.index.chunkCount; chunk++) {
      signal.throwIfAborted();
      const isGood = await fetcher.checker.verify(chunk, signal);
      if (isGood === undefined) continue;
      chunks += 1;
      if (!isGood) damaged += 1;
    }
  }
  return { build: lease.build, chunks, damaged };
}
