import { z } from "zod";
import { Failure } from "../base/failure.ts";

/** Version of the format. A newer one is refused. */
const metafileVersion = 1;
/** Largest metafile that is read, in bytes. */
const metafileBytesMax = 256 * 1024;

const metafile = z.strictObject({
  version: z.literal(metafileVersion),
  /** What runs in every sandbox of the template from the start; it runs in the snapshot already. */
  startCommand: z.string().optional(),
  /** Whoever starts a process without saying as whom. */
  user: z.string().min(1),
  /** Where processes start; missing: in the home of their user. */
  workdir: z.string().min(1).optional(),
  envs: z.record(z.string(), z.string()),
  /** What the agent of the snapshot, or of a fresh boot, accepts first: 16 bytes, hex. */
  channelSecret: z.string().regex(/^[0-9a-f]{32}$/),
  /** For a boot: what is said to the kernel besides what every machine is told. */
  kernelArguments: z.string(),
});

/** What must be known of a build, besides its disk and memory, to make sandboxes of it. */
export type Metafile = z.infer<typeof metafile>;

/** Throws `corrupt` with a sentence, `invalid` when a newer version of the format is needed. */
export function parseMetafile(bytes: Uint8Array, build: string): Metafile {
  const value = parseJson(bytes, build);
  const version = (value as { version?: unknown } | null)?.version;
  if (typeof version === "number" && version > metafileVersion) {
    throw new Failure(
      "invalid",
      `the metafile of build ${build} has version ${version}; this program reads up to ${metafileVersion}`,
    );
  }
  const parsed = metafile.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Failure(
    "corrupt",
    `the metafile of build ${build} is damaged: ${issue?.path.join(".")} ${issue?.message}`,
  );
}

function parseJson(bytes: Uint8Array, build: string): unknown {
  if (bytes.length > metafileBytesMax)
    throw new Failure("corrupt", `the metafile of build ${build} has ${bytes.length} bytes`);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new Failure("corrupt", `the metafile of build ${build} is no JSON`, { cause: error });
  }
}

/** Throws when it breaks its own rules: that is a bug of who made it. */
export function encodeMetafile(value: Metafile): Buffer {
  return Buffer.from(`${JSON.stringify(metafile.parse(value), null, 1)}\n`);
}
