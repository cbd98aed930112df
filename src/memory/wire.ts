import type { FrameReader } from "../build/frame-reader.ts";
import { Failure } from "../base/failure.ts";
import { chunkBytes } from "../build/artifact.ts";

/**
 * What a daemon and the process that serves a memory file tell each other over their socket: frames of three numbers
 * of 32 bits (kind, chunk, bytes that follow), little-endian. Both are the same program, of perhaps two versions:
 * kinds are never given another meaning.
 */
export const frameKind = {
  /** From the server, first: JSON, a `Hello`. */
  hello: 1,
  /** From the server: it needs this chunk. */
  want: 2,
  /** From the server: a read of this chunk has been waiting for long, is answered after all, or was given up: JSON. */
  fault: 3,
  /** From the server: a chunk is read for the first time. */
  touched: 4,
  /** From a server that was asked to tell them: a read of a page that is not in the kernel's cache, by its number. */
  page: 5,
  /** From the daemon: the chunk's bytes. */
  chunk: 16,
  /** From the daemon: nobody needs the file any more. */
  end: 17,
} as const;

export interface Frame {
  readonly kind: number;
  readonly chunk: number;
  readonly body: Uint8Array;
}

export interface Hello {
  readonly build: string;
}

/** What became of a read that could not be answered at once. */
export interface FaultNews {
  /** The process that waits. */
  readonly pid: number;
  readonly what: "stalled" | "answered" | "ended";
  readonly waitedMs: number;
}

const headBytes = 12;
const bodyBytesMax = chunkBytes;

export function encodeFrame(kind: number, chunk: number, body: Uint8Array = new Uint8Array(0)): Buffer {
  const frame = Buffer.allocUnsafe(headBytes + body.length);
  frame.writeUInt32LE(kind, 0);
  frame.writeUInt32LE(chunk, 4);
  frame.writeUInt32LE(body.length, 8);
  frame.set(body, headBytes);
  return frame;
}

export function encodeJson(kind: number, chunk: number, value: Hello | FaultNews): Buffer {
  return encodeFrame(kind, chunk, Buffer.from(JSON.stringify(value)));
}

/** The next frame. Throws `corrupt` when the stream ends, or is none of this protocol. */
export async function readFrame(reader: FrameReader): Promise<Frame> {
  const head = Buffer.from(await reader.take(headBytes));
  const bytes = head.readUInt32LE(8);
  if (bytes > bodyBytesMax) throw new Failure("corrupt", `a frame of ${bytes} bytes is none`);
  return { kind: head.readUInt32LE(0), chunk: head.readUInt32LE(4), body: await reader.take(bytes) };
}

/** Throws `corrupt` for what is no such value. */
export function parseHello({ body }: Frame): Hello {
  const { build } = parse(body);
  if (typeof build !== "string") throw new Failure("corrupt", "a greeting names no build");
  return { build };
}

/** Throws `corrupt` for what is no such value. */
export function parseFaultNews({ body }: Frame): FaultNews {
  const { pid, what, waitedMs } = parse(body);
  const known = what === "stalled" || what === "answered" || what === "ended";
  if (!known || typeof pid !== "number" || typeof waitedMs !== "number")
    throw new Failure("corrupt", "news of a fault are none");
  return { pid, what, waitedMs };
}

function parse(body: Uint8Array): Record<string, unknown> {
  try {
    return JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>;
  } catch (error) {
    throw new Failure("corrupt", "a frame holds no JSON", { cause: error });
  }
}
