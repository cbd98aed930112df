interface Request {
  readonly code: number;
  readonly unique?: bigint;
  readonly thread?: number;
  readonly body?: Buffer;
}

/** A request as the kernel writes it (`fuse_in_header` and what follows). */
export function encodeRequest({ code, unique = 1n, thread = 1, body = Buffer.alloc(0) }: Request): Buffer {
  const head = Buffer.alloc(40);
  head.writeUInt32LE(head.length + body.length, 0);
  head.writeUInt32LE(code, 4);
  head.writeBigUInt64LE(unique, 8);
  head.writeBigUInt64LE(1n, 16);
  head.writeUInt32LE(thread, 32);
  return Buffer.concat([head, body]);
}

/** `fuse_read_in`. */
export function readBody(offset: number | bigint, bytes: number): Buffer {
  const body = Buffer.alloc(40);
  body.writeBigUInt64LE(BigInt(offset), 8);
  body.writeUInt32LE(bytes, 16);
  return body;
}
