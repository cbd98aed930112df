import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import type { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { AgentFixture, patience } from "./testing/agent-fixture.ts";
import { echo } from "./testing/echo-server.ts";

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

  it("carries an HTTP request", async () => {
    const server = createHttpServer((request, response) => void request.pipe(response));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const tunnel = await fixture.channel.connectPort(port, patience());
    const request = httpRequest({ createConnection: () => tunnel, method: "POST", path: "/" });
    request.end("said");
    const [answer] = (await once(request, "response")) as [Readable];
    assert.equal(await text(answer), "said");
    tunnel.destroy();
    server.closeAllConnections();
    server.close();
  });

  it("is cut off, with an error for those who wait, when the channel ends", async () => {
    const { port, server } = await echo();
    const channel = await fixture.agent.connect(patience());
    const tunnel = await channel.connectPort(port, patience());
    const reading = assert.rejects(buffer(tunnel));
    await channel.close();
    await reading;
    await assert.rejects(channel.connectPort(port, patience()), (error) => Failure.is(error, "cancelled"));
    server.close();
  });
});
