import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request as forward,
  type Server,
  type ServerResponse,
} from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { closeAtOnce, listenLocally, urlOf } from "./local-server.ts";

export interface SlowProxyOptions {
  /** Of the object store. */
  readonly target: string;
  /** Before each answer begins. */
  readonly latencyMs: number;
  /** Of all answers together. */
  readonly bytesPerSecond: number;
  /** Which requests this is about; all unless said. Others pass at once, and are not counted. */
  readonly only?: RegExp;
}

const pieceBytes = 64 * 1024;

/** An object store that is far away: each answer comes late, and all together no faster than the line. */
export class SlowProxy {
  /** After so many bytes nearly nothing comes any more. May be changed at any time. */
  holdAt = Infinity;
  /** Bytes of the bodies of answers. */
  bytes = 0;
  readonly #options: SlowProxyOptions;
  readonly #server: Server;
  /** When the line is free again. */
  #freeAtMs = 0;
  #line = Promise.resolve();

  private constructor(options: SlowProxyOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  static async start(options: SlowProxyOptions): Promise<SlowProxy> {
    const proxy = new SlowProxy(options);
    await listenLocally(proxy.#server);
    return proxy;
  }

  get url(): string {
    return urlOf(this.#server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closeAtOnce(this.#server);
  }

  async #serve(request: IncomingMessage, response: ServerResponse) {
    const { headers, method = "", url = "" } = request;
    const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>));
    const { hostname, port } = new URL(this.#options.target);
    const onward = forward({ hostname, port, method, path: url, headers, agent: false });
    onward.end(body);
    const [answer] = (await once(onward, "response")) as [IncomingMessage];
    const isMeant = this.#options.only?.test(url) ?? true;
    if (isMeant) await delay(this.#options.latencyMs);
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    if (!isMeant) return void answer.pipe(response);
    for await (const piece of answer as AsyncIterable<Buffer>) {
      for (let at = 0; at < piece.length && !response.destroyed; at += pieceBytes)
        await this.#send(response, piece.subarray(at, at + pieceBytes));
      if (response.destroyed) break;
    }
    response.end();
  }

  /** One after the other: the line is one. */
  #send(response: ServerResponse, piece: Buffer): Promise<void> {
    this.#line = this.#line.then(async () => {
      await this.#pass(piece.length, response);
      this.bytes += piece.length;
      response.write(piece);
    });
    return this.#line;
  }

  /** Lasts as long as the line takes for so many bytes; it may be let go on meanwhile. */
  async #pass(bytes: number, response: ServerResponse): Promise<void> {
    this.#freeAtMs = Math.max(this.#freeAtMs, performance.now() - lateMsMax);
    for (let left = bytes; left > 0 && !response.destroyed; ) {
      const rate = this.bytes >= this.holdAt ? 1 : this.#options.bytesPerSecond;
      const step = Math.min(left, rate * stepSeconds);
      this.#freeAtMs += (step / rate) * 1000;
      left -= step;
      const aheadMs = this.#freeAtMs - performance.now();
      if (aheadMs > lateMsMax) await delay(aheadMs);
    }
  }
}

/** Timers are no finer than this: what is late by less is made up for. */
const lateMsMax = 2;
const stepSeconds = 0.05;
