import { z } from "zod";
import { Failure } from "../base/failure.ts";
import { type ImageArtifact, imageArtifacts } from "../build/artifact.ts";
import type { ChunkRequest } from "../build/chunk-source.ts";
import { isBuildId, isDigest } from "../build/manifest.ts";
import { GroupSet, groupSetTextMax } from "./group-set.ts";
import { groupChunks, groupOf } from "./rendezvous.ts";

/** What one node asks another. Both say that the asker leases the build: who does not has no reason to ask. */
export type Question =
  | { readonly kind: "build"; readonly build: string }
  | ({ readonly kind: "chunks" } & ChunkRequest)
  | { readonly kind: "input"; readonly build: string; readonly digest: string };

export function pathOf(question: Question): string {
  const build = `/v1/builds/${question.build}`;
  if (question.kind === "build") return build;
  if (question.kind === "input") return `${build}/inputs/${question.digest}`;
  const { artifact, firstChunk, count } = question;
  return `${build}/${artifact}/chunks/${firstChunk}+${count}`;
}

/** Throws `invalid` for a path that is no question, or one for chunks of more than one group. */
export function questionOf(path: string): Question {
  const [, version, builds, build = "", artifact, chunks, range] = path.split("/");
  const ours = version === "v1" && builds === "builds" && isBuildId(build);
  if (ours && artifact === undefined) return { kind: "build", build };
  if (ours && artifact === "inputs" && isDigest(chunks ?? "") && range === undefined)
    return { kind: "input", build, digest: chunks ?? "" };
  const [, first, count] = /^(\d{1,8})\+(\d{1,2})$/.exec(range ?? "") ?? [];
  const image = imageArtifacts.find((each) => each === artifact);
  if (ours && chunks === "chunks" && image !== undefined) {
    const request = { build, artifact: image, firstChunk: Number(first), count: Number(count) };
    if (isOneGroup(request)) return { kind: "chunks", ...request };
  }
  throw new Failure("invalid", "that is no question of a peer");
}

function isOneGroup({ firstChunk, count }: ChunkRequest): boolean {
  return count >= 1 && count <= groupChunks && groupOf(firstChunk) === groupOf(firstChunk + count - 1);
}

/** What a node says about one build. */
export interface Standing {
  /** Its name for as long as it runs. */
  readonly node: string;
  /** Somebody there uses the build: it takes a share in fetching it. */
  readonly leases: boolean;
  /** Groups of which it has chunks, or reads some from the bucket just now. */
  readonly has: Readonly<Record<ImageArtifact, GroupSet>>;
  /** Digests of the inputs that it has, or reads from the bucket just now; an older node says nothing of any. */
  readonly inputs?: readonly string[] | undefined;
}

const inputsMax = 16;
const groups = z
  .string()
  .max(groupSetTextMax)
  .transform((text) => GroupSet.decode(text));
export const nodeName = z.string().regex(/^[a-z0-9]{1,64}$/);
const standing = z.object({
  node: nodeName,
  leases: z.boolean(),
  // What an older node does not know of, it does not have.
  has: z.object({ rootfs: groups, memfile: groups, firstpages: groups.default(() => GroupSet.of([])) }),
  inputs: z.array(z.string().refine(isDigest)).max(inputsMax).optional(),
});

export function encodeStanding({ node, leases, has, inputs }: Standing): Buffer {
  const sets = Object.fromEntries(imageArtifacts.map((artifact) => [artifact, has[artifact].encode()]));
  return Buffer.from(JSON.stringify({ node, leases, has: sets, inputs: inputs?.slice(0, inputsMax) }));
}

/** Largest answer that is read, in bytes. */
export const standingBytesMax = imageArtifacts.length * groupSetTextMax + 4096;

/** Throws `corrupt`. */
export function decodeStanding(bytes: Uint8Array): Standing {
  try {
    return standing.parse(JSON.parse(Buffer.from(bytes).toString()));
  } catch (error) {
    throw new Failure("corrupt", "a peer's answer about a build is none", { cause: error });
  }
}
