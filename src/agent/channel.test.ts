import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Agent, request as httpRequest, createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import { buffer, text } from "node:stream/consumers";
import { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { AgentFixture, patience } from "./testing/agent-fixture.ts";
import { LocalAgent } from "./testing/local-agent.ts";

const tooShort = () => AbortSignal.timeout(400);

describe("AgentChannel", () => {
  let fixture: AgentFixture;
  before(async () => (fixture = await AgentFixture.start()));
  after(async () => await fixture[Symbol.asyncDispose]());

  it("answers many requests at once, each with its own answer", async () => {
    const names = Array.from({ length: 100 }, (_, i) => `/nothing-${i}`);
    const answers = await Promise.all(names.map((path) => fixture.ask({ path })));
    answers.forEach(({ status, body }, i) => {
      assert.equal(status, 404);
      assert.match(body.toString(), new RegExp(`/nothing-${i} `));
    });
  });

  it("carries a body of many windows both ways, byte by byte", async () => {
    const bytes = randomBytes(5 * 1024 * 1024);
    const { port, server } = await echo();
    const tunnel = await fixture.channel.connectPort(port, patience());
    const [back] = await Promise.all([
      buffer(tunnel),
      pipeline(Readable.from([bytes]), tunnel, { end: true }),
    ]);
    assert.ok(back.equals(bytes));
    server.close();
  });

  it("ends a request, and the wait for its answer, when its signal aborts", async () => {
    const reason = new Failure("cancelled", "the caller left");
    const caller = new AbortController();
    const body = new Readable({ read() {} });
    const waiting = fixture.channel.request(
      { method: "POST", path: "/init", headers: {}, body },
      caller.signal,
    );
    setImmediate(() => caller.abort(reason));
    await assert.rejects(waiting, (error) => error === reason);
    assert.equal((await fixture.ask({ path: "/health" })).status, 204);
  });

  it("cuts the body of an answer short with an error when its signal aborts", async () => {
    const caller = new AbortController();
    const headers = { "content-type": "application/connect+json" };
    const message = Buffer.from(JSON.stringify({ process: { cmd: "/bin/sleep", args: ["60"] } }));
    const body = Buffer.concat([Buffer.of(0, 0, 0, 0, message.length), message]);
    const request = { method: "POST", path: "/process.Process/Start", headers, body };
    const answer = await fixture.channel.request(request, caller.signal);
    const reading = buffer(answer.body);
    caller.abort(new Failure("cancelled", "the caller left"));
    await assert.rejects(reading, (error) => Failure.is(error, "cancelled"));
  });

  it("refuses an answer to a request that was told to end before it began", async () => {
    await assert.rejects(
      fixture.channel.request({ method: "GET", path: "/health", headers: {} }, AbortSignal.abort()),
    );
  });

  it("takes no header of a connection along", async () => {
    const headers = {
      connection: "close",
      "Keep-Alive": "5",
      "transfer-encoding": "chunked",
      host: "evil",
      te: "x",
    };
    assert.equal((await fixture.ask({ path: "/health", headers })).status, 204);
  });

  it("lets an answer come before all of the body was sent", async () => {
    const endless = new Readable({
      read() {
        this.push(Buffer.alloc(64 * 1024));
      },
    });
    const answer = await fixture.channel.request(
      { method: "POST", path: "/files", headers: { "content-type": "text/plain" }, body: endless },
      patience(),
    );
    assert.equal(answer.status, 400);
    assert.match(await text(answer.body), /multipart/);
    endless.destroy();
  });

  it("tells a guest whose client left in the middle of a body, instead of ending it as if it were whole", async () => {
    const body = new Readable({ read() {} });
    body.push("half");
    const headers = { "content-type": "application/octet-stream" };
    const waiting = fixture.channel.request(
      { method: "POST", path: "/files?path=/tmp/larder-never-written-whole", headers, body },
      patience(),
    );
    setImmediate(() => body.destroy());
    await assert.rejects(waiting, (error) => Failure.is(error, "unavailable"));
  });
});

describe("connectPort", () => {
  let fixture: AgentFixture;
  before(async () => (fixture = await AgentFixture.start()));
  after(async () => await fixture[Symbol.asyncDispose]());

  it("says that nobody listens", async () => {
    const { port, server } = await echo();
    server.close();
    await once(server, "close");
    await assert.rejects(fixture.channel.connectPort(port, patience()), (error) =>
      Failure.is(error, "not_found"),
    );
  });

  it("refuses what is no port", async () => {
    for (const port of [0, 65_536, 1.5, Number.NaN]) {
      await assert.rejects(fixture.channel.connectPort(port, patience()), (error) =>
        Failure.is(error, "invalid"),
      );
    }
  });

  it("finds a server that listens on IPv6 only", async () => {
    const { port, server } = await echo("::1");
    const tunnel = await fixture.channel.connectPort(port, patience());
    tunnel.end("six");
    assert.equal(await text(tunnel), "six");
    server.close();
  });

  it("ends each direction by itself", async () => {
    const { port, server } = await echo();
    const tunnel = await fixture.channel.connectPort(port, patience());
    tunnel.end("the end of what I say");
    assert.equal(await text(tunnel), "the end of what I say");
    server.close();
  });

  it("carries HTTP requests, one after the other over one connection", async () => {
    const server = createHttpServer((request, response) => void request.pipe(response));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const tunnel = await fixture.channel.connectPort(port, patience());
    const agent = new Agent({ keepAlive: true });
    agent.createConnection = () => tunnel;
    for (const said of ["one", "two"]) {
      const request = httpRequest({ agent, method: "POST", path: "/" });
      request.end(said);
      const [answer] = (await once(request, "response")) as [Readable];
      assert.equal(await text(answer), said);
    }
    tunnel.destroy();
    server.closeAllConnections();
    server.close();
  });

  it("is cut off, with an error for those who wait, when the channel ends", async () => {
    const { port, server } = await echo();
    await using channel = await fixture.agent.connect(patience());
    const tunnel = await channel.connectPort(port, patience());
    const reading = buffer(tunnel);
    await channel.close();
    await assert.rejects(reading);
    await assert.rejects(channel.connectPort(port, patience()), (error) => Failure.is(error, "cancelled"));
    server.close();
    fixture = await replaced(fixture);
  });
});

describe("AgentChannel.connect", () => {
  it("finds the start of its session again and again, whatever an older one left behind", async () => {
    await using agent = await LocalAgent.start();
    for (let turn = 0; turn < 5; turn++) {
      const old = connect(agent.channelPath);
      old.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), randomBytes(70_000)]));
      await once(old, "connect");
      await using channel = await agent.connect(patience());
      const { status } = await channel.request({ method: "GET", path: "/health", headers: {} }, patience());
      assert.equal(status, 204);
      old.destroy();
    }
  });

  it("installs the next secret with the first session, and the one before serves no more", async () => {
    await using agent = await LocalAgent.start();
    const nextSecret = randomBytes(16);
    {
      await using channel = await agent.connect(patience(), { nextSecret });
      await channel.request({ method: "GET", path: "/health", headers: {} }, patience());
    }
    await assert.rejects(agent.connect(tooShort()), { name: "TimeoutError" });
    await using _channel = await agent.connect(patience(), { secret: nextSecret });
  });

  it("gets in with either secret when it is not known whether the guest changed over", async () => {
    await using agent = await LocalAgent.start();
    const nextSecret = randomBytes(16);
    await using _first = await agent.connect(patience(), {
      secret: randomBytes(16),
      nextSecret: agent.secret,
    });
    await using _second = await agent.connect(patience(), { nextSecret });
  });

  it("gives up when its signal aborts, and fails at once where nobody listens", async () => {
    await using agent = await LocalAgent.start();
    await assert.rejects(agent.connect(tooShort(), { secret: randomBytes(16) }), { name: "TimeoutError" });
    await agent[Symbol.asyncDispose]();
    await assert.rejects(agent.connect(patience()), (error) => Failure.is(error, "not_found"));
  });

  it("ends when the guest's end of the port is closed, and with it all that waits", async () => {
    const fixture = await AgentFixture.start();
    const running = fixture.client.run("sleep 60", {}, patience());
    await fixture.client.health(patience());
    await fixture.agent[Symbol.asyncDispose]();
    await assert.rejects(running, (error) => Failure.is(error, "unavailable"));
    await fixture.channel.closed;
    await assert.rejects(fixture.client.health(patience()), (error) => Failure.is(error, "unavailable"));
  });
});

/** A server on this host that says what it is told. */
async function echo(host = "127.0.0.1"): Promise<{ port: number; server: ReturnType<typeof createServer> }> {
  const server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
    socket.pipe(socket);
    socket.on("error", () => {});
  });
  await once(server.listen(0, host), "listening");
  return { port: (server.address() as AddressInfo).port, server };
}

/** The same agent with a channel that works. */
async function replaced(fixture: AgentFixture): Promise<AgentFixture> {
  await fixture[Symbol.asyncDispose]();
  return await AgentFixture.start();
}
