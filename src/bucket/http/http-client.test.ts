import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createSecureServer } from "node:https";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { systemClock as clock } from "../../base/clock.ts";
import { Failure } from "../../base/failure.ts";
import { assertNothingLeft, takeCensus } from "../../base/testing/census.ts";
import { eventually } from "../../base/testing/virtual-clock.ts";
import { testCertificate } from "../testing/test-certificate.ts";
import { HttpClient, type HttpClientOptions } from "./http-client.ts";
import type { HttpRequest } from "./http-message.ts";

const never = new AbortController().signal;
const get: HttpRequest = { method: "GET", target: "/", headers: [["host", "x"]], answerMsMax: 2_000 };

describe("HttpClient", () => {
  it("uses a connection again, and leaves nothing open", async () => {
    const before = takeCensus();
    {
      await using held = await scene((request, response) => response.end(request.method));
      for (let i = 0; i < 5; i++) {
        using response = await held.client.request(get, never);
        assert.equal(await response.text(100), "GET");
      }
      assert.equal(held.connections.size, 1);
    }
    await assertNothingLeft(before);
  });

  it("opens no more connections than it may, and refuses who would wait too long a line", async () => {
    const going: (() => void)[] = [];
    const serve: RequestListener = (_, response) => void going.push(() => response.end("ok"));
    await using held = await scene(serve, { connectionsMax: 2, waitersMax: 1 });
    const ask = async () => {
      using response = await held.client.request(get, never);
      return response.text(100);
    };
    const asked = [ask(), ask(), ask()];
    await assert.rejects(ask(), (error) => Failure.is(error, "exhausted"));
    for (let i = 0; i < 3; i++) {
      await eventually(() => going.length > 0);
      going.shift()?.();
    }
    assert.deepEqual(await Promise.all(asked), ["ok", "ok", "ok"]);
    assert.equal(held.connections.size, 2);
  });

  it("sends a body, and asks for its pieces again when a kept connection had been closed", async () => {
    const bodies: number[] = [];
    const serve: RequestListener = (request, response) => {
      void Array.fromAsync(request as AsyncIterable<Buffer>).then((pieces) => {
        bodies.push(Buffer.concat(pieces).length);
        response.end();
      });
    };
    await using held = await scene(serve);
    const put: HttpRequest = { ...get, method: "PUT", body: { bytes: 300_000, pieces } };
    for (let i = 0; i < 2; i++) {
      using response = await held.client.request(put, never);
      await response.text(0);
      for (const socket of held.connections) socket.destroy();
    }
    assert.deepEqual(bodies, [300_000, 300_000]);
  });

  it("stops sending when the answer is there already, and does not use that connection again", async () => {
    await using held = await scene((request, response) => {
      response.writeHead(403).end("no");
      request.pause();
    });
    let sent = 0;
    async function* endless() {
      for (; sent < 1_000; sent++) yield Buffer.alloc(2 ** 18);
    }
    const put: HttpRequest = { ...get, method: "PUT", body: { bytes: 1_000 * 2 ** 18, pieces: endless } };
    for (let i = 0; i < 2; i++) {
      using response = await held.client.request(put, never);
      assert.deepEqual([response.status, await response.text(10)], [403, "no"]);
    }
    assert.ok(sent < 1_000, `${sent}`);
    assert.equal(held.counts.seen, 2);
  });

  it("gives up when no answer comes, when nobody listens, and when the caller leaves", async () => {
    await using held = await scene(() => {});
    const impatient = held.client.request({ ...get, answerMsMax: 20 }, never);
    await assert.rejects(impatient, (error) => Failure.is(error, "unavailable"));
    const leaving = new AbortController();
    const left = held.client.request(get, leaving.signal);
    left.catch(() => {});
    await eventually(() => held.counts.seen === 2);
    leaving.abort(new Failure("cancelled", "gone"));
    await assert.rejects(left, (error) => Failure.is(error, "cancelled"));
    const port = held.port;
    await held.client.close();
    await held.stop();
    await using other = new Disposer(clientOf(port, {}));
    await assert.rejects(other.client.request(get, never), (error) => Failure.is(error, "unavailable"));
  });

  it("closes a connection on which something comes that nobody asked for", async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
      socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    });
    const { port, stop } = await listen(server);
    await using held = new Disposer(clientOf(port, {}), stop);
    using first = await held.client.request(get, never);
    assert.equal(await first.text(10), "ok");
    sockets[0]?.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    await eventually(() => sockets[0]?.destroyed === true);
    using second = await held.client.request(get, never);
    assert.deepEqual([await second.text(10), sockets.length], ["ok", 2]);
  });

  it("speaks TLS, reads a body straight from it, and trusts only whom it should", async () => {
    const body = Buffer.alloc(1_000_003, "a pattern whose length divides nothing");
    const server = createSecureServer(testCertificate, (_, response) => response.end(body));
    const { port, stop } = await listen(server);
    const origin = { secure: true, host: "localhost", port };
    await using held = new Disposer(
      clientOf(port, { origin: { ...origin, ca: testCertificate.cert } }),
      stop,
    );
    for (let i = 0; i < 2; i++) {
      using response = await held.client.request(get, never);
      const pieces: Uint8Array[] = [];
      for (let piece = await response.next(); piece !== undefined; piece = await response.next())
        pieces.push(Uint8Array.from(piece));
      assert.ok(Buffer.concat(pieces).equals(body));
    }
    await using stranger = new Disposer(clientOf(port, { origin }));
    await assert.rejects(
      stranger.client.request(get, never),
      (error) => Failure.is(error, "unavailable") && /SELF_SIGNED|UNABLE_TO_VERIFY/.test(error.message),
    );
  });
});

async function* pieces() {
  for (let i = 0; i < 3; i++) yield Buffer.alloc(100_000);
}

/** A client that is closed at the end, and its server after it. */
class Disposer {
  readonly client: HttpClient;
  readonly stop: () => Promise<void>;

  constructor(client: HttpClient, stop: () => Promise<void> = async () => {}) {
    this.client = client;
    this.stop = stop;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await this.stop();
  }
}

function clientOf(port: number, options: Partial<HttpClientOptions>): HttpClient {
  const limits = { connectMsMax: 2_000, stallMsMax: 2_000 };
  const origin = { secure: false, host: "127.0.0.1", port };
  return new HttpClient({
    ...{ origin, clock, limits, connectionsMax: 4, waitersMax: 10, idleMsMax: 5_000 },
    ...options,
  });
}

async function listen(server: Server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  const stop = async () => {
    for (const socket of sockets) socket.destroy();
    if (!server.listening) return;
    server.close();
    await once(server, "close");
  };
  return { port, stop };
}

async function scene(serve: RequestListener, options: Partial<HttpClientOptions> = {}) {
  const counts = { seen: 0 };
  const connections = new Set<Socket>();
  const server = createHttpServer((request, response) => {
    counts.seen += 1;
    serve(request, response);
  });
  server.on("connection", (socket: Socket) => connections.add(socket));
  const { port, stop } = await listen(server);
  const held = new Disposer(clientOf(port, options), stop);
  return Object.assign(held, { connections, counts, port });
}
