import { Failure } from "../base/failure.ts";
import type { ImageArtifact } from "./artifact.ts";
import type { ArtifactIndex } from "./artifact-index.ts";

/**
 * The verified indexes that are open just now. The cache writes it, the sources read it:
 * so a source can find and prove chunks without knowing the cache.
 */
export class IndexBook {
  readonly #indexes = new Map<string, ArtifactIndex>();

  set(index: ArtifactIndex): void {
    this.#indexes.set(`${index.build}/${index.artifact}`, index);
  }

  delete(build: string, artifact: ImageArtifact): void {
    this.#indexes.delete(`${build}/${artifact}`);
  }

  /** Throws `internal`: whoever reads chunks of an artifact has opened it before. */
  get(build: string, artifact: ImageArtifact): ArtifactIndex {
    const index = this.#indexes.get(`${build}/${artifact}`);
    if (index === undefined) throw new Failure("internal", `${artifact} of build ${build} is not open`);
    return index;
  }
}
