import { z } from "zod";
import { Failure } from "../base/failure.ts";
import { buildId } from "./manifest.ts";
import { seal, unseal } from "./sealed-json.ts";

/** Version of the format. A newer one is refused: docs/formats.md. */
const needsVersion = 1;
/** Largest list that is read, in bytes: some hundred thousand builds. */
export const needsBytesMax = 16 * 1024 * 1024;
/** Below which all lists lie. */
export const needsPrefix = "nodes/";

const needs = z.strictObject({
  formatVersion: z.literal(needsVersion),
  node: z.uuid(),
  /** When it was written, by that node's clock. */
  writtenAt: z.int().min(0),
  builds: z.array(buildId),
});

/** The builds that a node needs: no collection removes them, on whichever node it runs. */
export type NodeNeeds = z.infer<typeof needs>;

export function needsKey(node: string): string {
  return `${needsPrefix}${node}.json`;
}

/** Throws when it breaks its own rules: that is a bug of who made it. */
export function encodeNeeds(value: Omit<NodeNeeds, "formatVersion">): Buffer {
  return seal(needs.parse({ formatVersion: needsVersion, ...value }));
}

/** Throws `corrupt` with a sentence, `invalid` when a newer version of the format is needed to read it. */
export function parseNeeds(bytes: Uint8Array, key: string): NodeNeeds {
  const value = unseal(bytes, key);
  const version = (value as { formatVersion?: unknown } | null)?.formatVersion;
  if (typeof version === "number" && version > needsVersion)
    throw new Failure("invalid", `${key} has version ${version}; this program reads up to ${needsVersion}`);
  const parsed = needs.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Failure("corrupt", `${key} is damaged: ${issue?.path.join(".")} ${issue?.message}`);
}
