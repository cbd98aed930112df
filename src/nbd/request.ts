import { Failure } from "../base/failure.ts";
import type { Terms } from "./handshake.ts";
import { command, commandFlag, type Errno, errno, magic } from "./protocol.ts";

export interface Request {
  readonly command: number;
  readonly flags: number;
  /** The client's own name for this request; comes back with the reply. */
  readonly cookie: bigint;
  /** `Number.MAX_SAFE_INTEGER` stands for everything from there on: no device is that large. */
  readonly offset: number;
  readonly bytes: number;
}

export interface Refusal {
  readonly errno: Errno;
  readonly sentence: string;
}

/** `message` holds 28 bytes. Throws `invalid` when it is no request. */
export function parseRequest(message: Buffer): Request {
  const found = message.readUInt32BE(0);
  if (found !== magic.request) throw new Failure("invalid", `request magic 0x${found.toString(16)}`);
  return {
    flags: message.readUInt16BE(4),
    command: message.readUInt16BE(6),
    cookie: message.readBigUInt64BE(8),
    offset: Math.min(message.readUInt32BE(16) * 2 ** 32 + message.readUInt32BE(20), Number.MAX_SAFE_INTEGER),
    bytes: message.readUInt32BE(24),
  };
}

/** Why `request` cannot be served, if it cannot. DISCONNECT is nobody's to refuse and not asked about. */
export function refusalOf(
  request: Request,
  terms: Terms,
  device: { readonly bytes: number; readonly requestBytesMax: number },
): Refusal | undefined {
  switch (request.command) {
    case command.read:
      return refusalOfRead(request, terms, device);
    case command.blockStatus:
      if (!terms.allocation) return invalid("base:allocation was not agreed on");
      return refusalOfRange(request, commandFlag.requestOne, device.bytes);
    case command.flush:
      return request.flags === 0 ? undefined : invalid(`flags ${request.flags} with a flush`);
    case command.write:
    case command.trim:
    case command.writeZeroes:
      return { errno: errno.EPERM, sentence: "the export is read-only" };
    default:
      return invalid(`command ${request.command} is not known here`);
  }
}

function refusalOfRead(
  request: Request,
  terms: Terms,
  device: { readonly bytes: number; readonly requestBytesMax: number },
): Refusal | undefined {
  const refusal = refusalOfRange(request, terms.structured ? commandFlag.dontFragment : 0, device.bytes);
  if (refusal !== undefined || request.bytes <= device.requestBytesMax) return refusal;
  const sentence = `${request.bytes} bytes in one read, ${device.requestBytesMax} are allowed`;
  const unfragmented = (request.flags & commandFlag.dontFragment) !== 0;
  return { errno: unfragmented ? errno.EOVERFLOW : errno.EINVAL, sentence };
}

function refusalOfRange(request: Request, flagsAllowed: number, deviceBytes: number): Refusal | undefined {
  if ((request.flags & ~flagsAllowed) !== 0) return invalid(`flags ${request.flags} with this command`);
  if (request.bytes === 0) return invalid("a length of zero");
  if (request.offset > deviceBytes - request.bytes) return invalid("a range beyond the end of the device");
  return undefined;
}

function invalid(sentence: string): Refusal {
  return { errno: errno.EINVAL, sentence };
}
