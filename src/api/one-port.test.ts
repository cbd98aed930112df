import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import { describe, it } from "node:test";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import type { Certificate } from "./one-port.ts";
import { H2Client } from "./testing/h2-client.ts";
import { TestApi, testKey } from "./testing/test-api.ts";
import { otherCertificate, testCertificate } from "./testing/test-certificate.ts";

describe("the one port", () => {
  it("speaks both versions of HTTP over TLS, to the API and by a name of the domain", async () => {
    await using api = await TestApi.start({ certificate: new TestRenewal(), domain: "sbx.test" });
    const headers = { host: "api.sbx.test", "x-api-key": testKey };
    const outgoing = tlsRequest({
      ...at(api),
      path: "/v2/sandboxes",
      headers,
      ca: testCertificate.cert,
      servername: "api.sbx.test",
    });
    outgoing.end();
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    assert.deepEqual([answer.statusCode, await text(answer)], [200, "[]"]);
    await using client = await H2Client.connect(api, "api.sbx.test");
    const created = await client.request(
      {
        ":method": "POST",
        ":path": "/v2/sandboxes",
        "x-api-key": testKey,
        "content-type": "application/json",
      },
      Buffer.from(JSON.stringify({ metadata: { a: "1" } })),
    );
    assert.equal(created.head[":status"], 201);
    assert.equal(JSON.parse(await text(created.stream)).domain, "sbx.test");
    const foreign = await client.request({ ":authority": "evil.example", ":path": "/healthz" });
    assert.equal(foreign.head[":status"], 421);
    await text(foreign.stream);
    const metrics = await client.request({ ":authority": "localhost", ":path": "/metrics" });
    assert.equal(metrics.head[":status"], 200);
    await text(metrics.stream);
  });

  it("speaks both versions of HTTP without TLS", async () => {
    await using api = await TestApi.start();
    assert.equal((await fetch(`${api.url}/healthz`)).status, 200);
    await using client = await H2Client.connect(api, "localhost");
    const { head, stream } = await client.request({ ":path": "/healthz" });
    assert.equal(head[":status"], 200);
    assert.equal(JSON.parse(await text(stream)).status, "ok");
  });

  it("answers plain HTTP to this machine itself although it has a certificate", async () => {
    await using api = await TestApi.start({ certificate: new TestRenewal() });
    assert.equal((await fetch(`http://127.0.0.1:${api.server.port}/healthz`)).status, 200);
  });

  it("shows a renewed certificate to whoever comes after that", async () => {
    const renewal = new TestRenewal();
    await using api = await TestApi.start({ certificate: renewal });
    const seen = async (ca: Buffer) => {
      const socket = connectTls({ ...at(api), ca, servername: "localhost", ALPNProtocols: ["http/1.1"] });
      await once(socket, "secureConnect");
      socket.destroy();
      await once(socket, "close");
    };
    await seen(testCertificate.cert);
    renewal.renew(otherCertificate);
    await seen(otherCertificate.cert);
    await assert.rejects(seen(testCertificate.cert));
  });

  it("answers 408 when the headers of a request do not arrive in time, also of the second one", async () => {
    await using api = await TestApi.start({ arrival: { headersMsMax: 40, lookMs: 10, bodyMsMax: 30_000 } });
    const socket = await open(api);
    socket.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const [answered] = (await once(socket, "data")) as [Buffer];
    assert.match(answered.toString(), /^HTTP\/1\.1 200 OK\r\n/);
    socket.write("GET / HTTP/1.1\r\nHo");
    const late = await text(socket);
    assert.match(late, /^HTTP\/1\.1 408 Request Timeout\r\n/);
    assert.match(late, /\{"code":408,"message":"the headers of the request did not arrive within 0.04 s"\}$/);
  });

  it("closes a connection on which nothing ever comes", async () => {
    await using api = await TestApi.start({ arrival: { headersMsMax: 20, lookMs: 10, bodyMsMax: 30_000 } });
    const socket = await open(api);
    assert.equal(await text(socket), "");
  });

  it("answers 400 to what is no HTTP, and 431 to headers without end", async () => {
    await using api = await TestApi.start();
    const garbage = await open(api);
    garbage.write("\0\0\0\0\r\n\r\n");
    assert.match(
      await text(garbage),
      /^HTTP\/1\.1 400 .*\{"code":400,"message":"this is no HTTP request"\}$/s,
    );
    const endless = await open(api);
    endless.write(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(40_000)}`);
    assert.match(await text(endless), /^HTTP\/1\.1 431 .*"code":431/s);
  });

  it("answers 408 when the body of a request to the API does not arrive in time", async () => {
    const clock = new VirtualClock();
    await using api = await TestApi.start({}, clock);
    const headers = { "x-api-key": testKey, "content-type": "application/json", "content-length": "100" };
    const outgoing = plainRequest({
      ...at(api),
      method: "POST",
      path: "/v2/sandboxes",
      headers,
      agent: false,
    });
    outgoing.on("error", () => {});
    outgoing.write('{"templateID":');
    const answered = once(outgoing, "response");
    while (clock.pending === 0) await new Promise(setImmediate);
    await clock.advance(30_000);
    const [answer] = (await answered) as [IncomingMessage];
    assert.deepEqual([answer.statusCode, answer.headers.connection], [408, "close"]);
    const message = "the body of the request did not arrive within 30 s";
    assert.deepEqual(JSON.parse(await text(answer)), { code: 408, message });
    outgoing.destroy();
    await api.call("POST", "/v2/sandboxes", {});
    assert.equal(clock.pending, 0, "a body that arrived leaves no timer");
  });

  it("leaves nothing after a close, whoever was connected", async () => {
    const before = takeCensus();
    {
      await using api = await TestApi.start({ certificate: new TestRenewal(), closeMsMax: 50 });
      await using idle = await H2Client.connect(api, "localhost");
      await text((await idle.request({ ":path": "/healthz" })).stream);
      await using _silent = await open(api);
      await api.server.close();
      await api.server.close();
    }
    await assertNothingLeft(before);
  });
});

/** A certificate that is renewed when the test says so. */
class TestRenewal implements Certificate {
  current = testCertificate;
  readonly #listeners = new Set<() => void>();

  onRenewal(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  renew(certificate: typeof testCertificate): void {
    this.current = certificate;
    for (const listener of this.#listeners) listener();
  }
}

function at(api: TestApi) {
  return { host: "127.0.0.1", port: api.server.port };
}

async function open(api: TestApi): Promise<Socket> {
  const socket = connect(at(api));
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}
