import { handshakeFlag, magic, option } from "../protocol.ts";

/** What clients send, as bytes. Fields may be wrong on purpose. */
export function clientFlags(flags: number = handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes): Buffer {
  return u32(flags);
}

export function optionMessage(id: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(16);
  head.writeBigUInt64BE(magic.option, 0);
  head.writeUInt32BE(id, 8);
  head.writeUInt32BE(payload.length, 12);
  return Buffer.concat([head, payload]);
}

export function infoPayload(name: string, wishes: readonly number[] = []): Buffer {
  const items = wishes.map(u16);
  return Buffer.concat([text(name), u16(wishes.length), ...items]);
}

export function contextPayload(name: string, queries: readonly string[]): Buffer {
  return Buffer.concat([text(name), u32(queries.length), ...queries.map(text)]);
}

export interface Asked {
  readonly command: number;
  readonly flags?: number;
  readonly cookie?: bigint;
  readonly offset?: number | bigint;
  readonly bytes?: number;
}

export function requestMessage({ command, flags = 0, cookie = 1n, offset = 0, bytes = 0 }: Asked): Buffer {
  const message = Buffer.alloc(28);
  message.writeUInt32BE(magic.request, 0);
  message.writeUInt16BE(flags, 4);
  message.writeUInt16BE(command, 6);
  message.writeBigUInt64BE(cookie, 8);
  message.writeBigUInt64BE(BigInt(offset), 16);
  message.writeUInt32BE(bytes, 24);
  return message;
}

/** A whole handshake up to GO, as modern clients do it. */
export function modernHandshake(name = ""): Buffer[] {
  return [
    clientFlags(),
    optionMessage(option.structuredReply),
    optionMessage(option.setMetaContext, contextPayload(name, ["base:allocation"])),
    optionMessage(option.go, infoPayload(name, [3])),
  ];
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u32(bytes.length), bytes]);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
