import { headerBytes, opcode } from "./fuse-protocol.ts";

/** What the kernel asks. `thread` is who waits for the answer; 0 when it cannot be named from here. */
export type FuseRequest = { readonly unique: bigint; readonly thread: number } & FuseQuestion;

export type FuseQuestion =
  | { readonly kind: "init"; readonly major: number; readonly minor: number }
  | { readonly kind: "open"; readonly flags: number }
  | { readonly kind: "read"; readonly offset: number; readonly bytes: number }
  /** Nobody waits for an answer. */
  | { readonly kind: "note" }
  | { readonly kind: "getattr" | "statfs" | "release" | "flush" | "access" | "destroy" }
  /** What a read-only file need not know. */
  | { readonly kind: "unknown"; readonly opcode: number };

/** Of each kind, the least bytes that follow the header. */
const bodyBytesMin: Readonly<Record<number, number>> = {
  [opcode.init]: 16,
  [opcode.open]: 8,
  [opcode.read]: 40,
};

/** Reads one request as the kernel hands it over, whole; undefined when it is none. */
export function parseRequest(bytes: Buffer): FuseRequest | undefined {
  if (bytes.length < headerBytes.request || bytes.readUInt32LE(0) !== bytes.length) return undefined;
  const code = bytes.readUInt32LE(4);
  const body = bytes.subarray(headerBytes.request);
  if (body.length < (bodyBytesMin[code] ?? 0)) return undefined;
  const question = questionOf(code, body);
  return question && { unique: bytes.readBigUInt64LE(8), thread: bytes.readUInt32LE(32), ...question };
}

function questionOf(code: number, body: Buffer): FuseQuestion | undefined {
  switch (code) {
    case opcode.init:
      return { kind: "init", major: body.readUInt32LE(0), minor: body.readUInt32LE(4) };
    case opcode.open:
      return { kind: "open", flags: body.readUInt32LE(0) };
    case opcode.read:
      return readOf(body);
    case opcode.getattr:
      return { kind: "getattr" };
    case opcode.statfs:
      return { kind: "statfs" };
    case opcode.release:
      return { kind: "release" };
    case opcode.flush:
      return { kind: "flush" };
    case opcode.access:
      return { kind: "access" };
    case opcode.destroy:
      return { kind: "destroy" };
    case opcode.forget:
    case opcode.batchForget:
    case opcode.interrupt:
      return { kind: "note" };
    default:
      return { kind: "unknown", opcode: code };
  }
}

function readOf(body: Buffer): FuseQuestion | undefined {
  const offset = body.readBigUInt64LE(8);
  if (offset > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  return { kind: "read", offset: Number(offset), bytes: body.readUInt32LE(16) };
}
