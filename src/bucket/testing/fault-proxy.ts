import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request as forward,
  type Server,
  type ServerResponse,
} from "node:http";
import { pipeline } from "node:stream/promises";
import { closeAtOnce, listenLocally, urlOf } from "./local-server.ts";

/** What becomes of one exchange. Bytes are counted from the beginning of the body of the answer. */
export type HttpFault =
  /** The connection is reset after so many bytes of the answer, before the request is forwarded when it says so. */
  | { readonly kind: "reset"; readonly afterBytes: number; readonly forwarded?: false }
  /** The answer is forwarded, but nobody hears of it. */
  | { readonly kind: "lost" }
  /** Nothing more comes after so many bytes, and nothing is closed. */
  | { readonly kind: "stall"; readonly afterBytes: number }
  /** Nothing comes at all. */
  | { readonly kind: "silent" }
  /** So many bytes are missing at the end, although the head has the right length, or says the smaller one. */
  | { readonly kind: "short"; readonly bytes: number; readonly saysSo: boolean }
  /** So many bytes more than there are, and the head says so. */
  | { readonly kind: "long"; readonly bytes: number }
  | { readonly kind: "headers"; readonly headers: Readonly<Record<string, string | undefined>> }
  | { readonly kind: "answer"; readonly status: number; readonly body: string }
  /** The body comes in pieces of so many bytes, with a turn of the event loop between them. */
  | { readonly kind: "slow"; readonly pieceBytes: number };

/** Asked for each request; undefined lets it through. `count` begins with 1. */
export type HttpFaultPlan = (
  request: { method: string; url: string },
  count: number,
) => HttpFault | undefined;

/** An HTTP proxy that misbehaves as it is told. */
export class FaultProxy {
  /** May be changed at any time. */
  plan: HttpFaultPlan = () => undefined;
  /** Requests that came. */
  count = 0;
  readonly #target: URL;
  readonly #server: Server;

  private constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  static async start(target: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    await listenLocally(proxy.#server);
    return proxy;
  }

  get url(): string {
    return urlOf(this.#server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closeAtOnce(this.#server);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { headers, method = "", url = "" } = request;
    const fault = this.plan({ method, url }, ++this.count);
    if (fault?.kind === "reset" && fault.forwarded === false) return void request.socket.resetAndDestroy();
    const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>));
    if (fault?.kind === "silent") return;
    if (fault?.kind === "answer")
      return void response.writeHead(fault.status, { "content-type": "text/html" }).end(fault.body);
    const { hostname, port } = this.#target;
    const onward = forward({ hostname, port, method, path: url, headers, agent: false });
    onward.end(body);
    const [answer] = (await once(onward, "response")) as [IncomingMessage];
    if (fault === undefined) return await pass(answer, response);
    const enough = fault.kind === "reset" || fault.kind === "stall" ? fault.afterBytes : Infinity;
    const bytes = await firstBytes(answer, enough);
    await this.#answer(response, answer, bytes, fault);
  }

  async #answer(response: ServerResponse, answer: IncomingMessage, bytes: Buffer, fault?: HttpFault) {
    const { connection: _, "transfer-encoding": __, ...headers } = answer.headers;
    const isHead = response.req.method === "HEAD" || answer.statusCode === 204;
    // Of a body that is broken off only the beginning is here: the head says what it would have been.
    const isPart = fault?.kind === "reset" || fault?.kind === "stall";
    const length = isHead || isPart ? answer.headers["content-length"] : bytes.length;
    const usual = { ...headers, ...(length === undefined ? {} : { "content-length": length }) };
    const begin = (more: Readonly<Record<string, string | number | undefined>> = {}) => {
      const all = Object.entries({ ...usual, ...more }).filter(([, value]) => value !== undefined);
      return response.writeHead(answer.statusCode ?? 500, Object.fromEntries(all) as Record<string, string>);
    };
    switch (fault?.kind) {
      case "reset":
        begin().write(bytes.subarray(0, fault.afterBytes), () => response.socket?.resetAndDestroy());
        response.flushHeaders();
        return;
      case "lost":
        return void response.socket?.resetAndDestroy();
      case "stall":
        return void begin().write(bytes.subarray(0, fault.afterBytes));
      case "short": {
        const left = bytes.subarray(0, bytes.length - fault.bytes);
        if (fault.saysSo) return void begin({ "content-length": left.length }).end(left);
        return void begin().write(left, () => response.destroy());
      }
      case "long": {
        const more = Buffer.concat([bytes, Buffer.alloc(fault.bytes)]);
        return void begin({ "content-length": more.length }).end(more);
      }
      case "headers":
        return void begin(fault.headers).end(bytes);
      case "slow":
        begin();
        for (let at = 0; at < bytes.length; at += fault.pieceBytes) {
          response.write(bytes.subarray(at, at + fault.pieceBytes));
          await new Promise((resolve) => setImmediate(resolve));
        }
        return void response.end();
      case "answer":
      case "silent":
      case undefined:
        return void begin().end(isHead ? undefined : bytes);
    }
  }
}

async function pass(answer: IncomingMessage, response: ServerResponse): Promise<void> {
  response.writeHead(answer.statusCode ?? 500, answer.headers);
  response.on("close", () => answer.destroy());
  await pipeline(answer, response).catch(() => response.destroy());
}

/** The first bytes of a body: as many as are wanted and perhaps some more; the others are not waited for. */
async function firstBytes(answer: IncomingMessage, bytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let have = 0;
  for await (const piece of answer as AsyncIterable<Buffer>) {
    pieces.push(piece);
    have += piece.length;
    if (have > bytes) break;
  }
  return Buffer.concat(pieces);
}
