import { headerBytes, notice, requestBytesMax, rootNode, version } from "./fuse-protocol.ts";

/** The most that one read asks for. */
export const readBytesMax = 128 * 1024;
/** For so long the kernel need not ask again what the file is like: it never changes. */
const validSeconds = 3600n;
/** The kernel keeps the pages it has read when the file is opened again. */
const keepCache = 2;
const regularReadOnly = 0o100444;
const blockBytes = 4096;
/** Room for a request is reckoned with this, so it must fit into what is read at once. */
const writeBytesMax = requestBytesMax / 16;
const nameBytesMax = 255;
const storeHeadBytes = 24;

/** A reply as it is written to the kernel, at once. An error is a number of Linux; then there is no body. */
export function encodeReply(unique: bigint, error: number, body: Uint8Array = new Uint8Array(0)): Buffer {
  const reply = Buffer.allocUnsafe(headerBytes.reply + body.length);
  reply.writeUInt32LE(reply.length, 0);
  reply.writeInt32LE(-error, 4);
  reply.writeBigUInt64LE(unique, 8);
  reply.set(body, headerBytes.reply);
  return reply;
}

/** A message that nobody has asked for (`fuse_notify_store_out`): what the file holds there. */
export function encodeStore(offset: number, bytes: Uint8Array): Buffer {
  const message = Buffer.alloc(headerBytes.reply + storeHeadBytes + bytes.length);
  message.writeUInt32LE(message.length, 0);
  message.writeInt32LE(notice.store, 4);
  message.writeBigUInt64LE(BigInt(rootNode), 16);
  message.writeBigUInt64LE(BigInt(offset), 24);
  message.writeUInt32LE(bytes.length, 32);
  message.set(bytes, headerBytes.reply + storeHeadBytes);
  return message;
}

/** `fuse_init_out`. Reads are answered in any order; no more is asked beforehand than `readaheadBytes`. */
export function initBody(readaheadBytes: number): Buffer {
  const body = Buffer.alloc(64);
  body.writeUInt32LE(version.major, 0);
  body.writeUInt32LE(version.minor, 4);
  body.writeUInt32LE(readaheadBytes, 8);
  body.writeUInt32LE(writeBytesMax, 20);
  body.writeUInt32LE(1, 24);
  return body;
}

/** `fuse_attr_out` of a file of this size that everybody may read. */
export function attributesBody(fileBytes: number): Buffer {
  const body = Buffer.alloc(104);
  body.writeBigUInt64LE(validSeconds, 0);
  body.writeBigUInt64LE(BigInt(rootNode), 16);
  body.writeBigUInt64LE(BigInt(fileBytes), 24);
  body.writeBigUInt64LE(BigInt(Math.ceil(fileBytes / 512)), 32);
  body.writeUInt32LE(regularReadOnly, 76);
  body.writeUInt32LE(1, 80);
  body.writeUInt32LE(blockBytes, 96);
  return body;
}

/** `fuse_open_out`. */
export function openBody(): Buffer {
  const body = Buffer.alloc(16);
  body.writeBigUInt64LE(1n, 0);
  body.writeUInt32LE(keepCache, 8);
  return body;
}

/** `fuse_statfs_out`. */
export function statfsBody(): Buffer {
  const body = Buffer.alloc(80);
  body.writeUInt32LE(blockBytes, 40);
  body.writeUInt32LE(nameBytesMax, 44);
  return body;
}
