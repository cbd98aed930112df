import { type ImageArtifact, imageArtifacts } from "../build/artifact.ts";
import { GroupSet } from "./group-set.ts";
import type { OfferedBuild, OfferedImage } from "./offering.ts";
import type { OriginReads } from "./origin-reads.ts";
import type { Standing } from "./question.ts";
import { groupChunks } from "./rendezvous.ts";

export interface StandingOptions {
  readonly node: string;
  readonly build: string;
  /** Undefined when the shelf has nothing of it. */
  readonly offered: OfferedBuild | undefined;
  readonly origins: OriginReads;
}

/** What this node says of itself and a build. Brings nothing to the shelf. */
export async function standingOf(options: StandingOptions, signal: AbortSignal): Promise<Standing> {
  const { node, build, offered, origins } = options;
  const has = async (artifact: ImageArtifact) => {
    const image = await offered?.kept(artifact, signal);
    const kept = image === undefined ? [] : keptGroups(image);
    return GroupSet.of([...kept, ...origins.groups(build, artifact)]);
  };
  const sets = await Promise.all(imageArtifacts.map(async (artifact) => [artifact, await has(artifact)]));
  const all = Object.fromEntries(sets) as Record<ImageArtifact, GroupSet>;
  const inputs = [...new Set([...(offered?.inputs ?? []), ...origins.inputs(build)])];
  return { node, leases: offered?.leased ?? false, has: all, inputs };
}

function keptGroups(image: OfferedImage): number[] {
  const groups: number[] = [];
  for (let group = 0; group * groupChunks < image.chunkCount; group++) {
    const end = Math.min((group + 1) * groupChunks, image.chunkCount);
    for (let chunk = group * groupChunks; chunk < end; chunk++) {
      if (!image.has(chunk)) continue;
      groups.push(group);
      break;
    }
  }
  return groups;
}
