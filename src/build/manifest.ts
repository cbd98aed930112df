import { z } from "zod";
import { Failure } from "../base/failure.ts";
import { type Artifact, blockBytes, fileArtifacts, imageArtifacts } from "./artifact.ts";
import { indexLimits } from "./index-rules.ts";
import { seal, unseal } from "./sealed-json.ts";

/** Version of the manifest's format. A newer one is refused: docs/formats.md. */
export const manifestVersion = 2;
/** Largest manifest that is read, in bytes. */
export const manifestBytesMax = 256 * 1024;
/** Largest small file of a build: snapfile or metafile, in bytes. They are fetched whole. */
const fileBytesMax = 2 ** 30;
const { deviceBytesMax, indexBytesMax, buildsMax } = indexLimits;

/** The name of a build: a UUID in lower case. */
export const buildId = z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
const digest = z.string().regex(/^[0-9a-f]{64}$/);
const size = z.int().min(0).max(deviceBytesMax);
const blocks = size.refine((bytes) => bytes % blockBytes === 0, `is no multiple of ${blockBytes}`);

const fileEntry = z.strictObject({ bytes: z.int().min(0).max(fileBytesMax), digest });
const indexEntry = z.strictObject({ bytes: z.int().min(1).max(indexBytesMax), digest });
const imageEntry = z
  .strictObject({
    /** Size of the device. */
    bytes: blocks,
    /** Size of the storage space that this build itself holds. */
    storageBytes: blocks,
    packBytes: size,
    index: indexEntry,
  })
  .refine((image) => image.packBytes <= image.storageBytes, "has a pack larger than what it holds");

/** Where something lies on a device, in bytes. */
const range = z.strictObject({ offset: blocks, bytes: blocks });

/** What a host must match to run the memory of a build. */
export const machineShape = z.strictObject({
  vmm: z.string().max(100),
  vmmVersion: z.string().max(100),
  machineType: z.string().max(100),
  accelerator: z.enum(["kvm", "tcg"]),
  cpuModel: z.string().max(200),
  vcpus: z.int().min(1).max(256),
  memoryBytes: z.int().min(1).max(deviceBytesMax),
  /** Frequency of the host's time stamp counter; only under emulation. */
  tscKhz: z.int().min(1).optional(),
});

const inputName = z.enum(["agent-disk", "kernel", "initrd"]);

const ancestor = z.strictObject({ build: buildId, artifact: z.enum(imageArtifacts), index: indexEntry });
const input = z.strictObject({ name: inputName, digest, bytes: size });

const manifest = z
  .strictObject({
    formatVersion: z.literal([1, manifestVersion]),
    build: buildId,
    createdAt: z.iso.datetime(),
    /** Every other build that an index of this one refers to. */
    ancestors: z
      .array(ancestor)
      .max(buildsMax * imageArtifacts.length)
      .refine((all) => areUnlike(all.map((one) => `${one.build} ${one.artifact}`)), "names one twice"),
    rootfs: imageEntry.optional(),
    /** Since version 2: the disk of the agent lies on the device `rootfs` too, behind the root disk. */
    agentDisk: range.optional(),
    memfile: imageEntry.optional(),
    /** Since version 2: what machines read first of the memory. */
    firstpages: imageEntry.optional(),
    snapfile: fileEntry.optional(),
    metafile: fileEntry,
    shape: machineShape.optional(),
    inputs: z
      .array(input)
      .max(10)
      .refine((all) => areUnlike(all.map((one) => one.name)), "names one twice"),
  })
  .refine(
    ({ rootfs, agentDisk }) =>
      agentDisk === undefined || agentDisk.offset + agentDisk.bytes === rootfs?.bytes,
    { path: ["agentDisk"], error: "does not end where rootfs does" },
  );

export type FileEntry = z.infer<typeof fileEntry>;
export type ImageEntry = z.infer<typeof imageEntry>;
export type DeviceRange = z.infer<typeof range>;
export type MachineShape = z.infer<typeof machineShape>;
export type InputName = z.infer<typeof inputName>;
export type BuildInput = z.infer<typeof input>;
export type Ancestor = z.infer<typeof ancestor>;

/** What a build consists of; a build exists when its manifest does. */
export type Manifest = z.infer<typeof manifest>;

/** True for the name of a build: a UUID in lower case. */
export function isBuildId(text: string): boolean {
  return buildId.safeParse(text).success;
}

/** True for the digest of an object: SHA-256, in hexadecimal digits of lower case. */
export function isDigest(text: string): boolean {
  return digest.safeParse(text).success;
}

/**
 * Reads a manifest and checks every byte by its seal, every field, and that it is `build`'s.
 * Throws `corrupt` with a sentence, `invalid` when a newer version of the format is needed to read it.
 */
export function parseManifest(bytes: Uint8Array, build: string): Manifest {
  const what = `the manifest of build ${build}`;
  if (bytes.length > manifestBytesMax) throw new Failure("corrupt", `${what} has ${bytes.length} bytes`);
  const value = unseal(bytes, what);
  const version = (value as { formatVersion?: unknown } | null)?.formatVersion;
  if (typeof version === "number" && version > manifestVersion) {
    throw new Failure(
      "invalid",
      `${what} has format version ${version}; this program reads up to ${manifestVersion}`,
    );
  }
  const parsed = manifest.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new Failure("corrupt", `${what} is damaged: ${issue?.path.join(".")} ${issue?.message}`);
  }
  if (parsed.data.build !== build) {
    throw new Failure("corrupt", `${what} belongs to build ${parsed.data.build}`);
  }
  return parsed.data;
}

/** Throws when the manifest breaks its own rules: that is a bug of who made it. */
export function encodeManifest(value: Manifest): Buffer {
  const bytes = seal(manifest.parse(value));
  if (bytes.length > manifestBytesMax)
    throw new Failure("exhausted", `a manifest of ${bytes.length} bytes is too large`);
  return bytes;
}

/** Size of the disk that the guest takes for its root: the device `rootfs` without what lies behind it. */
export function rootDiskBytes({ build, rootfs, agentDisk }: Manifest): number {
  if (rootfs === undefined) throw new Failure("invalid", `build ${build} has no disk`);
  return agentDisk?.offset ?? rootfs.bytes;
}

/** The artifacts that a build has, images first. */
export function artifactsOf(value: Manifest): Artifact[] {
  return [...imageArtifacts, ...fileArtifacts].filter((artifact) => value[artifact] !== undefined);
}

function areUnlike(names: readonly string[]): boolean {
  return new Set(names).size === names.length;
}
