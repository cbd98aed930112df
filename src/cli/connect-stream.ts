import { Failure } from "../base/failure.ts";

/** The flag of a frame that ends a stream; https://connectrpc.com/docs/protocol#streaming-rpcs */
const endFlag = 2;
const frameBytesMax = 16 * 1024 * 1024;

/** One message of a stream: a byte of flags, four of length, JSON. */
export function encodeFrame(message: unknown): Buffer {
  const json = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(json.length, 1);
  return Buffer.concat([head, json]);
}

/** Yields the messages of a stream; throws when it ends with an error, or without its last frame. */
export async function* decodeFrames(stream: AsyncIterable<Uint8Array>): AsyncGenerator {
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of unbroken(stream)) {
    rest = Buffer.concat([rest, piece]);
    for (let frame = firstFrame(rest); frame !== undefined; frame = firstFrame(rest)) {
      rest = rest.subarray(5 + frame.bytes.length);
      const message: unknown = JSON.parse(frame.bytes.toString());
      if ((frame.flags & endFlag) !== 0) return throwError(message);
      yield message;
    }
  }
  throw brokenOff();
}

/** The same pieces; how a connection broke is of no use to people. */
async function* unbroken(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* stream;
  } catch (error) {
    throw brokenOff(error);
  }
}

function brokenOff(cause?: unknown): Failure {
  return new Failure("unavailable", "the stream broke off: the sandbox has probably ended", { cause });
}

function firstFrame(buffer: Buffer): { flags: number; bytes: Buffer } | undefined {
  if (buffer.length < 5) return undefined;
  const length = buffer.readUInt32BE(1);
  if (length > frameBytesMax) throw new Failure("corrupt", `a message of ${length} bytes is too large`);
  if (buffer.length < 5 + length) return undefined;
  return { flags: buffer.readUInt8(0), bytes: buffer.subarray(5, 5 + length) };
}

function throwError(end: unknown): void {
  const { error } = end as { error?: { code?: string; message?: string } };
  if (error === undefined) return;
  throw new Failure(
    error.code === "not_found" ? "not_found" : "unavailable",
    error.message ?? `${error.code}`,
  );
}
