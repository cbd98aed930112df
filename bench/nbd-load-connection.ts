import type { SeededRandom } from "../src/base/testing/seeded-random.ts";
import { chunkFlag, chunkType, command, magic, option, optionReply } from "../src/nbd/protocol.ts";
import { clientFlags, infoPayload, optionMessage, requestMessage } from "../src/nbd/testing/requests.ts";
import type { LoadCase } from "./nbd-load.ts";
import { RawSocket } from "./raw-socket.ts";

const requestBytes = 28;
/** Header of a chunk, and the offset that its data begins with. */
const headBytes = 28;
/** Of the data: enough to see whose they are. */
const markBytes = 8;

/** One connection of the load client. Looks at the mark at the front of each answer, and skips the rest. */
export class LoadConnection {
  readonly socket: RawSocket;
  answered = 0;
  readonly #case: LoadCase;
  readonly #random: SeededRandom;
  readonly #requests: Buffer;
  readonly #inbox = Buffer.allocUnsafeSlow(512 * 1024);
  readonly #idle: number[];
  #held = 0;
  #skip = 0;

  constructor(load: LoadCase, random: SeededRandom) {
    this.#case = load;
    this.#random = random;
    this.#idle = Array.from({ length: load.depth }, (_, cookie) => cookie);
    const request = requestMessage({ command: command.read, bytes: load.requestBytes });
    this.#requests = Buffer.concat(Array.from({ length: load.depth }, () => request));
    this.socket = new RawSocket(load.socket);
    this.#greet();
  }

  /** Receives what is there, and asks anew for each answer. */
  turn(): void {
    this.#receive();
    this.ask();
  }

  ask(): void {
    const { deviceBytes, requestBytes: bytes } = this.#case;
    let at = 0;
    for (let cookie = this.#idle.pop(); cookie !== undefined; cookie = this.#idle.pop()) {
      const offset = this.#random.below(Math.floor(deviceBytes / bytes)) * bytes;
      this.#requests.writeUInt32BE(cookie, at + 12);
      this.#requests.writeUInt32BE(Math.floor(offset / 2 ** 32), at + 16);
      this.#requests.writeUInt32BE(offset % 2 ** 32, at + 20);
      at += requestBytes;
    }
    if (at > 0) this.socket.send(this.#requests.subarray(0, at));
  }

  /** Waits for what is under way, and says goodbye: not every server bears a client that just leaves. */
  end(): void {
    while (this.#idle.length < this.#case.depth || this.#skip > 0) this.#receive();
    this.socket.send(requestMessage({ command: command.disconnect }));
    this.socket.close();
  }

  #receive(): void {
    const inbox = this.#inbox;
    const end = this.#held + this.socket.receive(this.#held === 0 ? inbox : inbox.subarray(this.#held));
    let at = 0;
    for (;;) {
      const skipped = Math.min(this.#skip, end - at);
      this.#skip -= skipped;
      at += skipped;
      if (end - at < headBytes + markBytes) break;
      at += this.#takeHead(at);
    }
    this.#held = end - at;
    if (this.#held > 0) inbox.copyWithin(0, at, end);
  }

  /** Takes the head of one chunk; its data are skipped as they come. */
  #takeHead(at: number): number {
    const inbox = this.#inbox;
    const good = inbox.readUInt32BE(at) === magic.structuredReply;
    if (!good || inbox.readUInt16BE(at + 6) !== chunkType.offsetData) throw new Error("not an answer");
    const offset = inbox.readUInt32BE(at + 20) * 2 ** 32 + inbox.readUInt32BE(at + 24);
    if (inbox.readDoubleLE(at + headBytes) !== offset) throw new Error(`wrong data at ${offset}`);
    this.#skip = inbox.readUInt32BE(at + 16) - 8;
    if ((inbox.readUInt16BE(at + 4) & chunkFlag.done) !== 0) {
      this.answered += 1;
      this.#idle.push(inbox.readUInt32BE(at + 12));
    }
    return headBytes;
  }

  #greet(): void {
    this.socket.receiveExactly(18);
    this.socket.send(clientFlags());
    for (const message of [
      optionMessage(option.structuredReply),
      optionMessage(option.go, infoPayload("")),
    ]) {
      this.socket.send(message);
      for (let type = 0; type !== optionReply.ack; ) {
        const head = this.socket.receiveExactly(20);
        this.socket.receiveExactly(head.readUInt32BE(16));
        type = head.readUInt32BE(12);
        if (type > 2 ** 31) throw new Error(`the server refuses: ${type}`);
      }
    }
  }
}
