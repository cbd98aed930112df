import { type FileDevice, holeDescriptor } from "./file-device.ts";
import type { Terms } from "./handshake.ts";
import type { Outbox } from "./outbox.ts";
import { chunkFlag, chunkType, command, commandFlag, magic, wireBytes } from "./protocol.ts";
import { readWhole } from "./shared-image-device.ts";

/** From this length on a reply's bytes go out from the file; shorter ones are copied, and leave many at once. */
const fromFileBytes = 32 * 1024;
/** From this length on zeros are told as a hole, which is not done here. */
const holesFromBytes = 64 * 1024;

export interface QuickReadsOptions {
  readonly device: FileDevice;
  readonly terms: Terms;
  readonly outbox: Outbox;
  readonly requestBytesMax: number;
}

/**
 * The short way of the most frequent request: a read of bytes that lie side by side in one file and are there. It
 * makes no objects, and leaves whatever is less simple to `Transmission`.
 */
export class QuickReads {
  readonly #o: QuickReadsOptions;
  readonly #headBytes: number;
  /** What was answered and not yet counted by whoever counts. */
  answered = 0;
  answeredBytes = 0;

  constructor(options: QuickReadsOptions) {
    this.#o = options;
    this.#headBytes = options.terms.structured ? wireBytes.chunkHeader + 8 : wireBytes.simpleHeader;
  }

  /** Answers the request of 28 bytes at `at`; false, with nothing done, when it is not of the simple kind. */
  answer(bytes: Buffer, at: number): boolean {
    const kind = bytes.readUInt32BE(at + 4);
    const unfragmented = kind === ((commandFlag.dontFragment << 16) | command.read);
    if (bytes.readUInt32BE(at) !== magic.request || (kind !== command.read && !unfragmented)) return false;
    const { device, outbox, requestBytesMax, terms } = this.#o;
    const offset = bytes.readUInt32BE(at + 16) * 2 ** 32 + bytes.readUInt32BE(at + 20);
    const length = bytes.readUInt32BE(at + 24);
    if (length === 0 || length > requestBytesMax || offset > device.bytes - length) return false;
    if (unfragmented && !terms.structured) return false;
    const place = device.place(offset, length);
    if (place === undefined) return false;
    const isHole = place.descriptor === holeDescriptor;
    if (length >= holesFromBytes && isHole) return false;
    if (length >= fromFileBytes && !isHole && outbox.takesFiles) {
      this.#head(outbox.carve(this.#headBytes), bytes, at, length);
      outbox.sendFile({ descriptor: place.descriptor, position: place.position, bytes: length });
    } else {
      const reply = outbox.carve(this.#headBytes + length);
      if (isHole) reply.fill(0, this.#headBytes);
      else if (!this.#read(reply, place.descriptor, place.position, length)) return false;
      this.#head(reply, bytes, at, length);
    }
    this.answered += 1;
    this.answeredBytes += length;
    return true;
  }

  #read(reply: Buffer, descriptor: number, position: number, length: number): boolean {
    try {
      readWhole(descriptor, reply, this.#headBytes, length, position);
      return true;
    } catch {
      this.#o.outbox.uncarve(reply.length); // the long way finds out why
      return false;
    }
  }

  /** Cookie and offset come back as they came. */
  #head(reply: Buffer, request: Buffer, at: number, length: number): void {
    if (!this.#o.terms.structured) {
      reply.writeUInt32BE(magic.simpleReply, 0);
      reply.writeUInt32BE(0, 4);
      request.copy(reply, 8, at + 8, at + 16);
      return;
    }
    reply.writeUInt32BE(magic.structuredReply, 0);
    reply.writeUInt16BE(chunkFlag.done, 4);
    reply.writeUInt16BE(chunkType.offsetData, 6);
    request.copy(reply, 8, at + 8, at + 16);
    reply.writeUInt32BE(length + 8, 16);
    request.copy(reply, 20, at + 16, at + 24);
  }
}
