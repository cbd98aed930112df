import { hash } from "node:crypto";
import { z } from "zod";
import { Failure } from "../base/failure.ts";
import { buildId, machineShape } from "./manifest.ts";
import { seal, unseal } from "./sealed-json.ts";

/** Version of the format. A newer one is refused: docs/formats.md. */
const cardVersion = 1;
/** Largest card that is read, in bytes. */
export const cardBytesMax = 4 * 1024 * 1024;
/** Below which all cards lie. */
export const cardPrefix = "templates/";
/** Longest name that stands in its key as it is, in characters. */
const nameLengthMax = 200;

const time = z.int().min(0);
const label = z.string().min(1).max(300);

const named = z.strictObject({
  template: z.strictObject({
    id: label,
    name: label,
    createdAt: time,
    updatedAt: time,
    /** The sandbox that it is a snapshot of. */
    snapshotOf: label.optional(),
    /** Of a snapshot: whether somebody chose its name. */
    named: z.boolean().optional(),
  }),
  tags: z.array(z.strictObject({ tag: label, diskBuild: buildId, createdAt: time })).max(10_000),
  /** Those that a tag leads to, disk builds first. */
  builds: z
    .array(
      z.strictObject({
        id: buildId,
        diskBuild: buildId,
        recipe: z.string().max(300),
        coldBoot: z.boolean(),
        vcpus: z.int().min(1),
        memoryBytes: z.int().min(1),
        diskBytes: z.int().min(0),
        createdAt: time,
        shape: machineShape.optional(),
      }),
    )
    .max(10_000),
});
const card = named.extend({ formatVersion: z.literal(cardVersion), node: label });

/** A name of a template or of a snapshot, its tags, and the builds that they lead to. */
export type NamedTemplate = z.infer<typeof named>;

/** What the bucket knows of a name, so that a lost store can be made again; and the node that wrote it. */
export type TemplateCard = z.infer<typeof card>;

/** Plain names stand in their keys; of others what could not, as `_` and two hex digits. */
export function cardKey(name: string): string {
  const plain = name.replaceAll(/[^A-Za-z0-9.-]/g, (letter) => `_${Buffer.from(letter).toString("hex")}`);
  return `${cardPrefix}${plain.length <= nameLengthMax ? plain : `__${hash("sha256", name)}`}.json`;
}

/** Throws when it breaks its own rules: that is a bug of who made it. */
export function encodeCard(value: NamedTemplate, node: string): Buffer {
  return seal(card.parse({ formatVersion: cardVersion, node, ...value }));
}

/** Throws `corrupt` with a sentence, `invalid` when a newer version of the format is needed to read it. */
export function parseCard(bytes: Uint8Array, key: string): TemplateCard {
  const value = unseal(bytes, key);
  const version = (value as { formatVersion?: unknown } | null)?.formatVersion;
  if (typeof version === "number" && version > cardVersion)
    throw new Failure("invalid", `${key} has version ${version}; this program reads up to ${cardVersion}`);
  const parsed = card.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Failure("corrupt", `${key} is damaged: ${issue?.path.join(".")} ${issue?.message}`);
}
