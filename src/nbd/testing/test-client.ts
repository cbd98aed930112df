import assert from "node:assert/strict";
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { command } from "../protocol.ts";
import { dataOf, type Reply, structuredReplies } from "./reply-parser.ts";
import { modernHandshake, requestMessage } from "./requests.ts";

/** How long the answers to the greeting and the handshake are, for an export without name and description. */
const answersBytes = 18 + 20 + (20 + 4 + 15) + 20 + (20 + 12) + (20 + 14) + 20;

/** A client past its handshake, over a real socket. */
export class TestClient implements Disposable {
  readonly socket: Socket;
  readonly #pieces: Buffer[] = [];
  #bytes = 0;
  #onMore: () => void = () => {};
  #cookie = 1n;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("data", (piece: Buffer) => {
      this.#pieces.push(piece);
      this.#bytes += piece.length;
      this.#onMore();
    });
    socket.on("close", () => this.#onMore());
  }

  static async connect(path: string): Promise<TestClient> {
    const socket = createConnection(path);
    await once(socket, "connect");
    const client = new TestClient(socket);
    socket.write(Buffer.concat(modernHandshake()));
    await client.#take(answersBytes);
    return client;
  }

  /** Sends all the reads at once; the answers, in the order of the reads. */
  async read(...reads: { readonly offset: number; readonly bytes: number }[]): Promise<Reply[]> {
    const cookies = reads.map(({ offset, bytes }) => {
      const cookie = this.#cookie++;
      this.socket.write(requestMessage({ command: command.read, cookie, offset, bytes }));
      return cookie;
    });
    const replies = new Map<bigint, Reply>();
    while (replies.size < reads.length) {
      for (const reply of structuredReplies(await this.#wholeReply())) replies.set(reply.cookie, reply);
    }
    return cookies.map((cookie) => replies.get(cookie) ?? assert.fail());
  }

  async readBytes(offset: number, bytes: number): Promise<Buffer> {
    const [reply] = await this.read({ offset, bytes });
    assert.ok(reply !== undefined && reply.errno === 0);
    return dataOf(reply);
  }

  /** Resolves when the server has hung up. */
  async hungUp(): Promise<void> {
    if (!this.socket.closed) await once(this.socket, "close");
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  /** All chunks of the next reply. Servers that are tested here do not mix replies. */
  async #wholeReply(): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for (let done = false; !done; ) {
      const head = await this.#take(20);
      chunks.push(head, await this.#take(head.readUInt32BE(16)));
      done = (head.readUInt16BE(4) & 1) === 1;
    }
    return Buffer.concat(chunks);
  }

  async #take(count: number): Promise<Buffer> {
    while (this.#bytes < count) {
      assert.ok(!this.socket.closed, "the server has hung up");
      await new Promise<void>((resolve) => {
        this.#onMore = resolve;
      });
    }
    const all =
      this.#pieces.length === 1 ? (this.#pieces[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#pieces);
    this.#pieces.splice(0, this.#pieces.length, all.subarray(count));
    this.#bytes -= count;
    return all.subarray(0, count);
  }
}
