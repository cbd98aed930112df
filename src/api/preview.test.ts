import assert from "node:assert/strict";
import { once } from "node:events";
import { constants } from "node:http2";
import { type IncomingMessage, request } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { PassThrough } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { settled, VirtualClock } from "../base/testing/virtual-clock.ts";
import { apiWith, exchange, GuestServer } from "./testing/guest-server.ts";
import { H2Client } from "./testing/h2-client.ts";
import type { TestApi } from "./testing/test-api.ts";
import { testCertificate } from "./testing/test-certificate.ts";

const secured = { certificate: { current: testCertificate, onRenewal: () => ({ [Symbol.dispose]() {} }) } };
const port3000 = { "e2b-sandbox-port": "3000" };

describe("the preview of a guest's port, over HTTP/2", () => {
  for (const [kind, options] of Object.entries({ "over TLS": secured, "without TLS": {} })) {
    it(`a request passes whole and its answer too, ${kind}`, async () => {
      await using guest = await GuestServer.listen((request, response) => {
        response.writeHead(201, { "x-seen": JSON.stringify(request.headers), "set-cookie": ["a=1", "b=2"] });
        request.pipe(response);
      });
      await using api = await apiWith(guest, undefined, options);
      api.channel.ports.set(3000, guest.port);
      await using client = await H2Client.connect(api, "3000-i0001.localhost");
      const body = Buffer.alloc(3 * 1024 * 1024, "larder");
      const headers = { ":method": "POST", ":path": "/x?y", cookie: ["c=3", "d=4"] };
      const { head, stream } = await client.request(headers, body);
      assert.equal(head[":status"], 201);
      assert.deepEqual(head["set-cookie"], ["a=1", "b=2"]);
      const seen = JSON.parse(String(head["x-seen"]));
      assert.equal(seen.host, "3000-i0001.localhost");
      assert.equal(seen.cookie, "c=3; d=4");
      assert.ok((await buffer(stream)).equals(body));
    });
  }

  it("answers without a body end, and refusals too", async () => {
    await using guest = await GuestServer.listen((_request, response) => void response.writeHead(204).end());
    await using api = await apiWith(guest, undefined, secured);
    api.channel.ports.set(3000, guest.port);
    await using client = await H2Client.connect(api, "3000-i0001.localhost");
    const empty = await client.request({ ":path": "/" });
    assert.deepEqual([empty.head[":status"], await text(empty.stream)], [204, ""]);
    const asked = await client.request({ ":path": "/", ":method": "HEAD" });
    assert.deepEqual([asked.head[":status"], await text(asked.stream)], [204, ""]);
    await using stranger = await H2Client.connect(api, "3000-inone.localhost");
    const gone = await stranger.request({ ":path": "/" });
    assert.equal(gone.head[":status"], 502);
    const body = { sandboxId: "inone", message: "The sandbox was not found", code: 502 };
    assert.deepEqual(JSON.parse(await text(gone.stream)), body);
    const head = await stranger.request({ ":path": "/", ":method": "HEAD" });
    assert.deepEqual([head.head[":status"], await text(head.stream)], [502, ""]);
  });

  it("each event of a stream of events comes when it was sent", async () => {
    const events = new PassThrough();
    await using guest = await GuestServer.listen((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
      events.pipe(response);
    });
    await using api = await apiWith(guest, undefined, secured);
    api.channel.ports.set(3000, guest.port);
    await using client = await H2Client.connect(api, "3000-i0001.localhost");
    const { stream } = await client.request({ ":path": "/", accept: "text/event-stream" });
    for (const event of ["data: 1\n\n", "data: 2\n\n"]) {
      events.write(event);
      const [came] = (await once(stream, "data")) as [Buffer];
      assert.equal(came.toString(), event);
    }
    events.end();
    await once(stream, "end");
  });

  it("an answer that breaks in the middle is reset with an error, as clients need it", async () => {
    await using guest = await GuestServer.listen((_request, response) => {
      response.write("first", () => response.destroy());
    });
    await using api = await apiWith(guest, undefined, secured);
    await using client = await H2Client.connect(api, "49983-i0001.localhost");
    const { stream } = await client.request({ ":path": "/health" });
    stream.resume();
    await assert.rejects(once(stream, "end"));
    assert.equal(stream.rstCode, constants.NGHTTP2_INTERNAL_ERROR);
  });

  it("an answer whose reader is slow is not gathered in the daemon, and others pass it", async () => {
    let written = 0;
    await using guest = await GuestServer.listen((request, response) => {
      if (request.url === "/small") return void response.end("small");
      const piece = Buffer.alloc(64 * 1024);
      const more = () => {
        while (written < 512 && response.write(piece)) written++;
      };
      response.on("drain", more);
      more();
    });
    await using api = await apiWith(guest, undefined, secured);
    api.channel.ports.set(3000, guest.port);
    await using client = await H2Client.connect(api, "3000-i0001.localhost");
    const { stream } = await client.request({ ":path": "/large" });
    for (let before = -1; before !== written; ) {
      before = written;
      for (let turn = 0; turn < 200; turn++) await settled();
    }
    assert.ok(written < 400, `${written * 64} KiB were taken from the guest though nobody reads`);
    const small = await client.request({ ":path": "/small" });
    assert.equal(await text(small.stream), "small");
    stream.close();
  });

  it("a client that leaves during its upload ends it in the guest, where it never looks complete", async () => {
    const torn = Promise.withResolvers<boolean>();
    await using guest = await GuestServer.listen((request) => {
      request.on("error", () => {});
      request.once("close", () => torn.resolve(request.complete));
      request.once("data", () => hangUp());
    });
    await using api = await apiWith(guest, undefined, secured);
    api.channel.ports.set(3000, guest.port);
    await using client = await H2Client.connect(api, "3000-i0001.localhost");
    const stream = client.open({ ":method": "POST", ":path": "/" });
    const hangUp = () => stream.destroy(new Error("the client leaves"));
    stream.write("first");
    assert.equal(await torn.promise, false);
  });
});

describe("the preview of a guest's port", () => {
  it("passes a connection that changes its protocol, as WebSocket does", async () => {
    await using guest = await echoGuest();
    await using api = await apiWith(guest);
    api.channel.ports.set(3000, guest.port);
    const { head, socket, early } = await upgraded(api, { Host: "3000-i0001.localhost" });
    assert.deepEqual([head.statusCode, head.headers.upgrade], [101, "websocket"]);
    assert.ok(head.rawHeaders.includes("X-Own"));
    const seen = Buffer.concat([early, ...(early.length > 0 ? [] : await once(socket, "data"))]);
    assert.equal(seen.toString(), "hello");
    socket.write("ping");
    assert.equal(String((await once(socket, "data"))[0]), "ping");
    socket.end();
    await once(socket, "close");
  });

  it("ends a changed connection when its sandbox's server ends it", async () => {
    await using guest = await echoGuest();
    await using api = await apiWith(guest);
    api.channel.ports.set(3000, guest.port);
    const { socket } = await upgraded(api, { Host: "3000-i0001.localhost" });
    socket.resume();
    guest.server.closeAllConnections();
    for (const each of guest.upgraded) each.destroy();
    await once(socket, "close");
  });

  it("passes the answer of a server that does not want to change the protocol", async () => {
    await using guest = await GuestServer.listen(
      (_request, response) => void response.writeHead(426).end("no"),
    );
    await using api = await apiWith(guest);
    api.channel.ports.set(3000, guest.port);
    const headers = { connection: "Upgrade", upgrade: "websocket", ...port3000 };
    const answer = await exchange(api, { path: "/", headers });
    assert.deepEqual([answer.statusCode, await text(answer)], [426, "no"]);
    const gone = await exchange(api, { path: "/", headers: { ...headers, "e2b-sandbox-id": "inone" } });
    assert.deepEqual([gone.statusCode, JSON.parse(await text(gone)).sandboxId], [502, "inone"]);
  });

  it("answers a request that only offers another protocol, to the agent or to the API, as if it did not", async () => {
    await using guest = await GuestServer.listen((_request, response) => void response.end("plain"));
    await using api = await apiWith(guest);
    const offer = { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABk" };
    assert.equal(await text(await exchange(api, { path: "/health", headers: offer })), "plain");
    const health = await exchange(api, { path: "/healthz", headers: offer, bare: true });
    assert.equal(health.statusCode, 200);
    await text(health);
  });

  it("is refused without the token of a private sandbox, and the token goes no further", async () => {
    let seen: object = {};
    await using guest = await GuestServer.listen((request, response) => {
      seen = request.headers;
      response.end("in");
    });
    await using api = await apiWith(guest);
    api.channel.ports.set(3000, guest.port);
    const network = { allowPublicTraffic: false };
    const { sandboxID, trafficAccessToken } = (await api.call("POST", "/v2/sandboxes", { network })).body;
    const ask = async (headers: Record<string, string>, to = "3000") => {
      const route = { "e2b-sandbox-id": sandboxID, "e2b-sandbox-port": to };
      const answer = await exchange(api, { path: "/health", headers: { ...route, ...headers } });
      return [answer.statusCode, await text(answer)] as const;
    };
    const says = "Sandbox is secured with traffic access token.";
    const header = "'e2b-traffic-access-token'";
    const refusals = [
      [{}, `${says} Token header ${header} is missing`],
      [{ "e2b-traffic-access-token": "x" }, `${says} Provided token in header ${header} is invalid`],
    ] as const;
    for (const [headers, message] of refusals) {
      const [status, body] = await ask(headers);
      assert.deepEqual([status, JSON.parse(body)], [403, { sandboxId: sandboxID, message, code: 403 }]);
    }
    assert.deepEqual(await ask({ "E2b-Traffic-Access-Token": trafficAccessToken }), [200, "in"]);
    assert.ok(!("e2b-traffic-access-token" in seen));
    assert.deepEqual(await ask({}, "49983"), [200, "in"], "the agent has a token of its own");
  });

  it("shows the host that was asked for, with the port in it, to servers but not to the agent", async () => {
    await using guest = await GuestServer.listen((request, response) => {
      response.end(`${request.rawHeaders[request.rawHeaders.indexOf("Host") + 1]}`);
    });
    await using api = await apiWith(guest);
    api.channel.ports.set(3000, guest.port);
    const network = { maskRequestHost: "localhost:${PORT}" };
    const { sandboxID } = (await api.call("POST", "/v2/sandboxes", { network })).body;
    const info = (await api.call("GET", `/sandboxes/${sandboxID}`)).body;
    assert.deepEqual(info.network, { allowPublicTraffic: true, ...network });
    const headers = { Host: `3000-${sandboxID}.localhost` };
    assert.equal(await text(await exchange(api, { path: "/", headers, bare: true })), "localhost:3000");
  });

  it("speaks TLS to the ports that were said to", async () => {
    const server = createTlsServer({ ...testCertificate }, (_request, response) => response.end("secured"));
    await once(server.listen(0, "127.0.0.1"), "listening");
    await using guest = new GuestServer(server);
    await using api = await apiWith(guest);
    api.channel.ports.set(8443, (server.address() as AddressInfo).port);
    const network = { httpsPorts: [8443] };
    const { sandboxID } = (await api.call("POST", "/v2/sandboxes", { network })).body;
    const headers = { Host: `8443-${sandboxID}.localhost` };
    assert.equal(await text(await exchange(api, { path: "/", headers, bare: true })), "secured");
    assert.equal((await api.call("POST", "/v2/sandboxes", { network: { httpsPorts: [49983] } })).status, 400);
  });

  it("tells people in browsers on a page what it tells programs in JSON", async () => {
    const clock = new VirtualClock();
    await using guest = await GuestServer.listen((_request, response) => void response.end());
    await using api = await apiWith(guest, clock);
    const ask = async (id: string, headers: Record<string, string>) => {
      const answer = await exchange(api, {
        path: "/",
        headers: { "e2b-sandbox-id": id, ...port3000, ...headers },
      });
      return [answer.statusCode, answer.headers["content-type"], await text(answer)] as const;
    };
    const agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/91.0.4472.124 Safari/537.36";
    for (const headers of [{ accept: "text/html,*/*" }, { "user-agent": agent, accept: "*/*" }]) {
      const [status, type, page] = await ask("inone", headers);
      assert.deepEqual([status, type], [502, "text/html; charset=utf-8"]);
      assert.match(page, /<title>Sandbox Not Found<\/title>\n<h1>The sandbox was not found<\/h1>/);
    }
    await text(await exchange(api, { method: "POST", path: "/process.Process/Start", body: "{}" }));
    const asked = ask("i0001", { "user-agent": agent });
    while (api.channel.attempts < 7) {
      await settled();
      await clock.advance(100);
    }
    const [, , closed] = await asked;
    assert.match(closed, /<title>Closed Port Error<\/title>[^]*Sandbox i0001, port 3000/);
    const [, type] = await ask("inone", { "user-agent": agent, accept: "application/json" });
    assert.equal(type, "application/json; charset=utf-8");
  });
});

/** A guest that agrees to any other protocol, greets, and says what it is told. */
async function echoGuest() {
  const guest = await GuestServer.listen((_request, response) => void response.end());
  guest.server.on("upgrade", (request, socket) => {
    guest.upgraded.add(socket);
    socket.on("error", () => {});
    socket.write(
      `HTTP/1.1 101 Fine\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\nX-Own: 1\r\n\r\nhello`,
    );
    socket.pipe(socket);
  });
  return guest;
}

async function upgraded(api: TestApi, headers: Record<string, string>) {
  const all = { connection: "Upgrade", upgrade: "websocket", ...headers };
  const outgoing = request({ host: "127.0.0.1", port: api.server.port, headers: all, agent: false });
  outgoing.end();
  const [head, socket, early] = (await once(outgoing, "upgrade")) as [IncomingMessage, Socket, Buffer];
  return { head, socket, early };
}
