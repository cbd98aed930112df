import { z } from "zod";
import { Failure } from "../base/failure.ts";
import { blockBytes, fileArtifacts, type ImageArtifact, imageArtifacts } from "./artifact.ts";

/** Version of the manifest's format. A newer one is refused: docs/formats.md. */
export const manifestVersion = 1;
/** Largest manifest that is read, in bytes. */
export const manifestBytesMax = 256 * 1024;
/** Largest device that an artifact may describe: 1 TiB. */
const deviceBytesMax = 2 ** 40;

const uuid = z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
const digest = z.string().regex(/^[0-9a-f]{64}$/);
const size = z.int().min(0).max(deviceBytesMax);

const fileEntry = z.strictObject({ bytes: size, digest });
const imageEntry = z.strictObject({
  /** Size of the device, a multiple of blockBytes. */
  bytes: size.refine((bytes) => bytes % blockBytes === 0, `is no multiple of ${blockBytes}`),
  /** Size of the storage space that this build itself holds. */
  storageBytes: size,
  packBytes: size,
  index: fileEntry,
});

/** What a host must match to run the memory of a build. */
const machineShape = z.strictObject({
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

const manifest = z.strictObject({
  formatVersion: z.literal(manifestVersion),
  build: uuid,
  createdAt: z.iso.datetime(),
  /** Every other build that an index of this one refers to. */
  ancestors: z
    .array(z.strictObject({ build: uuid, artifact: z.enum(imageArtifacts), index: fileEntry }))
    .max(1000),
  rootfs: imageEntry.optional(),
  memfile: imageEntry.optional(),
  snapfile: fileEntry.optional(),
  metafile: fileEntry,
  shape: machineShape.optional(),
  inputs: z.array(z.strictObject({ name: inputName, digest, bytes: size })).max(10),
});

export type FileEntry = z.infer<typeof fileEntry>;
export type ImageEntry = z.infer<typeof imageEntry>;
export type MachineShape = z.infer<typeof machineShape>;
export type InputName = z.infer<typeof inputName>;
export type BuildInput = z.infer<typeof manifest>["inputs"][number];
export type Ancestor = z.infer<typeof manifest>["ancestors"][number];

/** What a build consists of; a build exists when its manifest does. */
export type Manifest = z.infer<typeof manifest>;

/** True for the name of a build: a UUID in lower case. */
export function isBuildId(text: string): boolean {
  return uuid.safeParse(text).success;
}

/**
 * Reads a manifest and checks every field, and that it is `build`'s.
 * Throws `corrupt` with a sentence, `invalid` when a newer version of the format is needed to read it.
 */
export function parseManifest(bytes: Uint8Array, build: string): Manifest {
  const value = parseJson(bytes, build);
  const version = (value as { formatVersion?: unknown } | null)?.formatVersion;
  if (typeof version === "number" && version > manifestVersion) {
    throw new Failure(
      "invalid",
      `the manifest of build ${build} has format version ${version}; this program reads up to ${manifestVersion}`,
    );
  }
  const parsed = manifest.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new Failure(
      "corrupt",
      `the manifest of build ${build} is damaged: ${issue?.path.join(".")} ${issue?.message}`,
    );
  }
  if (parsed.data.build !== build) {
    throw new Failure("corrupt", `the manifest of build ${build} belongs to build ${parsed.data.build}`);
  }
  return parsed.data;
}

function parseJson(bytes: Uint8Array, build: string): unknown {
  if (bytes.length > manifestBytesMax) {
    throw new Failure("corrupt", `the manifest of build ${build} has ${bytes.length} bytes`);
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new Failure("corrupt", `the manifest of build ${build} is no JSON`, { cause: error });
  }
}

/** Throws when the manifest breaks its own rules: that is a bug of who made it. */
export function encodeManifest(value: Manifest): Buffer {
  const bytes = Buffer.from(`${JSON.stringify(manifest.parse(value), null, 1)}\n`);
  if (bytes.length > manifestBytesMax)
    throw new Failure("exhausted", `a manifest of ${bytes.length} bytes is too large`);
  return bytes;
}

/** The artifacts that a build has, images first. */
export function artifactsOf(value: Manifest): (ImageArtifact | (typeof fileArtifacts)[number])[] {
  return [...imageArtifacts, ...fileArtifacts].filter((artifact) => value[artifact] !== undefined);
}
