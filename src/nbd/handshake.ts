import { Failure } from "../base/failure.ts";
import { optionName, parseContextRequest, parseInfoRequest } from "./option.ts";
import {
  contextAnswer,
  exportNameAnswer,
  infoAnswer,
  listAnswer,
  type Offer,
  optionAnswer,
  optionRefusal,
} from "./option-reply.ts";
import { allocationContext, handshakeFlag, magic, option, optionReply } from "./protocol.ts";

/** What client and server have agreed on so far. */
export interface Agreement {
  readonly noZeroes: boolean;
  readonly structured: boolean;
  /** The export name that `base:allocation` was asked for, if it was. */
  readonly allocationOf?: string;
}

/** What a request may rely on once the handshake is over. */
export interface Terms {
  readonly structured: boolean;
  /** Block status may be asked for. */
  readonly allocation: boolean;
}

/** What follows from one option. `answer` is sent in any case. */
export type Turn =
  | { readonly next: "options"; readonly answer: Buffer; readonly agreement: Agreement }
  | { readonly next: "transmission"; readonly answer: Buffer; readonly terms: Terms }
  | { readonly next: "end"; readonly answer: Buffer; readonly complaint?: string };

/** The first bytes on a connection. */
export function greeting(): Buffer {
  const bytes = Buffer.alloc(18);
  bytes.writeBigUInt64BE(magic.greeting, 0);
  bytes.writeBigUInt64BE(magic.option, 8);
  bytes.writeUInt16BE(handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes, 16);
  return bytes;
}

/** One step of the handshake: an option is answered. Whoever sends nonsense is told so and hung up on. */
export function negotiate(agreement: Agreement, id: number, payload: Buffer, offer: Offer): Turn {
  try {
    return turnOf({ agreement, id, payload, offer });
  } catch (error) {
    if (!Failure.is(error, "invalid")) throw error;
    const answer = optionRefusal(id, optionReply.invalid, error.message);
    return { next: "end", answer, complaint: `${optionName(id)}: ${error.message}` };
  }
}

interface Step {
  readonly agreement: Agreement;
  readonly id: number;
  readonly payload: Buffer;
  readonly offer: Offer;
}

function turnOf(step: Step): Turn {
  const { agreement, id, payload, offer } = step;
  switch (id) {
    case option.exportName:
      return exportName(step);
    case option.abort:
      return { next: "end", answer: optionAnswer(id, optionReply.ack) };
    case option.list:
      mustBeEmpty(payload);
      return stay(agreement, listAnswer(id, offer));
    case option.startTls:
      return stay(agreement, optionRefusal(id, optionReply.policy, "TLS is not offered on this Unix socket"));
    case option.info:
    case option.go:
      return infoOrGo(step);
    case option.structuredReply:
      mustBeEmpty(payload);
      return stay({ ...agreement, structured: true }, optionAnswer(id, optionReply.ack));
    case option.listMetaContext:
    case option.setMetaContext:
      return metaContext(step);
    default:
      return stay(agreement, optionRefusal(id, optionReply.unsupported, `option ${id} is not known here`));
  }
}

/** An old way in that cannot be refused politely: the specification says to hang up. */
function exportName({ agreement, payload, offer }: Step): Turn {
  const name = payload.toString("utf8");
  if (!isOffered(name, offer)) {
    return { next: "end", answer: Buffer.alloc(0), complaint: noSuchExport(name) };
  }
  const answer = exportNameAnswer(offer, agreement.structured, agreement.noZeroes);
  return { next: "transmission", answer, terms: termsOf(agreement, name) };
}

function infoOrGo({ agreement, id, payload, offer }: Step): Turn {
  const { name, wishes } = parseInfoRequest(payload);
  if (!isOffered(name, offer)) return refuseExport(agreement, id, name);
  const answer = infoAnswer(id, offer, wishes, agreement.structured);
  return id === option.go
    ? { next: "transmission", answer, terms: termsOf(agreement, name) }
    : stay(agreement, answer);
}

/**
 * LIST names what matches: no query means everything, `base:` all of that namespace. SET selects only what is
 * named in full, and forgets what was selected before.
 */
function metaContext({ agreement, id, payload, offer }: Step): Turn {
  const { name, queries } = parseContextRequest(payload);
  if (!agreement.structured) {
    return stay(
      agreement,
      optionRefusal(id, optionReply.invalid, "structured replies must be agreed on first"),
    );
  }
  const { allocationOf: _, ...rest } = agreement;
  const setting = id === option.setMetaContext;
  if (!isOffered(name, offer)) return refuseExport(setting ? rest : agreement, id, name);
  const named = queries.includes(allocationContext.name);
  const found = setting ? named : named || queries.length === 0 || queries.includes("base:");
  const contextId = setting ? allocationContext.id : 0;
  const contexts = found ? [contextAnswer(id, contextId, allocationContext.name)] : [];
  const answer = Buffer.concat([...contexts, optionAnswer(id, optionReply.ack)]);
  if (!setting) return stay(agreement, answer);
  return stay(found ? { ...rest, allocationOf: name } : rest, answer);
}

function termsOf({ structured, allocationOf }: Agreement, name: string): Terms {
  return { structured, allocation: structured && allocationOf === name };
}

/** The empty name is the default export. */
function isOffered(name: string, offer: Offer): boolean {
  return name === "" || name === offer.name;
}

function refuseExport(agreement: Agreement, id: number, name: string): Turn {
  return stay(agreement, optionRefusal(id, optionReply.unknownExport, noSuchExport(name)));
}

function noSuchExport(name: string): string {
  return `no export is called ${JSON.stringify(name.slice(0, 64))}`;
}

function stay(agreement: Agreement, answer: Buffer): Turn {
  return { next: "options", answer, agreement };
}

function mustBeEmpty(payload: Buffer): void {
  if (payload.length > 0) throw new Failure("invalid", `${payload.length} bytes where none belong`);
}
