import { info, magic, optionReply, transmissionFlag } from "./protocol.ts";

/** What is exported, as a client learns it. */
export interface Offer {
  readonly name: string;
  readonly description: string;
  /** Size of the device. */
  readonly bytes: number;
  /** Longest read. */
  readonly requestBytesMax: number;
}

/** One reply to an option. */
export function optionAnswer(id: number, type: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(20);
  head.writeBigUInt64BE(magic.optionReply, 0);
  head.writeUInt32BE(id, 8);
  head.writeUInt32BE(type, 12);
  head.writeUInt32BE(payload.length, 16);
  return Buffer.concat([head, payload]);
}

/** A refusal; `sentence` is for people. */
export function optionRefusal(id: number, type: number, sentence: string): Buffer {
  return optionAnswer(id, type, Buffer.from(sentence));
}

/** The answers to LIST: the one export. */
export function listAnswer(id: number, offer: Offer): Buffer {
  const name = Buffer.from(offer.name);
  const payload = Buffer.concat([u32(name.length), name, Buffer.from(offer.description)]);
  return Buffer.concat([optionAnswer(id, optionReply.server, payload), optionAnswer(id, optionReply.ack)]);
}

/** The answers to INFO and GO: size, flags and block sizes always, the texts when `wishes` name them. */
export function infoAnswer(id: number, offer: Offer, wishes: Set<number>, structured: boolean): Buffer {
  const infos = [
    Buffer.concat([u16(info.export), sizeAndFlags(offer, structured)]),
    Buffer.concat([u16(info.blockSize), u32(1), u32(4096), u32(offer.requestBytesMax)]),
  ];
  if (wishes.has(info.name)) infos.push(Buffer.concat([u16(info.name), Buffer.from(offer.name)]));
  if (wishes.has(info.description)) {
    infos.push(Buffer.concat([u16(info.description), Buffer.from(offer.description)]));
  }
  const answers = infos.map((payload) => optionAnswer(id, optionReply.info, payload));
  return Buffer.concat([...answers, optionAnswer(id, optionReply.ack)]);
}

/** The whole answer to EXPORT_NAME, the one option without a reply header. */
export function exportNameAnswer(offer: Offer, structured: boolean, noZeroes: boolean): Buffer {
  return Buffer.concat([sizeAndFlags(offer, structured), Buffer.alloc(noZeroes ? 0 : 124)]);
}

/** One context in the answers to LIST_META_CONTEXT and SET_META_CONTEXT. */
export function contextAnswer(id: number, contextId: number, name: string): Buffer {
  return optionAnswer(id, optionReply.metaContext, Buffer.concat([u32(contextId), Buffer.from(name)]));
}

/** What is exported never changes, so clients may spread their reads over several connections. */
function sizeAndFlags(offer: Offer, structured: boolean): Buffer {
  const { hasFlags, readOnly, canMultiConn, sendDf } = transmissionFlag;
  const bytes = Buffer.alloc(10);
  bytes.writeBigUInt64BE(BigInt(offer.bytes), 0);
  bytes.writeUInt16BE(hasFlags | readOnly | canMultiConn | (structured ? sendDf : 0), 8);
  return bytes;
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
