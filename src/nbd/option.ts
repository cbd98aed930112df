import { Failure } from "../base/failure.ts";
import { Cursor } from "./cursor.ts";
import { handshakeFlag, magic, option } from "./protocol.ts";

/** What a client says first. Throws `invalid` for a flag that was not offered. */
export function parseClientFlags(bytes: Buffer): { readonly noZeroes: boolean } {
  const flags = bytes.readUInt32BE(0);
  const offered = handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes;
  if ((flags & ~offered) !== 0) throw new Failure("invalid", `client flags 0x${flags.toString(16)}`);
  return { noZeroes: (flags & handshakeFlag.noZeroes) !== 0 };
}

/** An option's fixed part; its payload of `bytes` follows. Throws `invalid` when it is none. */
export function parseOptionHeader(bytes: Buffer): { readonly id: number; readonly bytes: number } {
  const found = bytes.readBigUInt64BE(0);
  if (found !== magic.option) throw new Failure("invalid", `option magic 0x${found.toString(16)}`);
  return { id: bytes.readUInt32BE(8), bytes: bytes.readUInt32BE(12) };
}

/** Payload of INFO and GO: an export and what the client wishes to know of it. */
export function parseInfoRequest(payload: Buffer): { readonly name: string; readonly wishes: Set<number> } {
  const cursor = new Cursor(payload, "info request");
  const name = cursor.text();
  const count = cursor.u16();
  const wishes = new Set<number>();
  for (let i = 0; i < count; i++) wishes.add(cursor.u16());
  cursor.end();
  return { name, wishes };
}

/** Payload of LIST_META_CONTEXT and SET_META_CONTEXT: an export and the contexts asked for. */
export function parseContextRequest(payload: Buffer): { readonly name: string; readonly queries: string[] } {
  const cursor = new Cursor(payload, "meta context request");
  const name = cursor.text();
  const count = cursor.u32();
  if (count * 4 > cursor.left) throw new Failure("invalid", `meta context request: ${count} queries`);
  const queries = Array.from({ length: count }, () => cursor.text());
  cursor.end();
  return { name, queries };
}

const names = new Map<number, string>(Object.entries(option).map(([name, id]) => [id, name]));

/** An option's name for people. */
export function optionName(id: number): string {
  return names.get(id) ?? `option ${id}`;
}
