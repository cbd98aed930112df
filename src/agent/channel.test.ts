import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { after, before, describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { AgentFixture, patience } from "./testing/agent-fixture.ts";
import { echo } from "./testing/echo-server.ts";

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
    const answer = await fixture.channel.request(longCommand(), caller.signal);
    const reading = assert.rejects(buffer(answer.body), (error) => Failure.is(error, "cancelled"));
    caller.abort(new Failure("cancelled", "the caller left"));
    await reading;
  });

  it("cuts answers and tunnels short with an error when it is closed, and when its socket is", async () => {
    const { port, server } = await echo();
    for (const end of ["close", "die"] as const) {
      await using other = await AgentFixture.start();
      const { body } = await other.channel.request(longCommand(), patience());
      const tunnel = await other.channel.connectPort(port, patience());
      tunnel.write("half");
      await once(tunnel, "data");
      const code = end === "close" ? "cancelled" : "unavailable";
      const cut = [body, tunnel].map((each) =>
        assert.rejects(buffer(each), (error) => Failure.is(error, code)),
      );
      await (end === "close" ? other.channel.close() : other.agent[Symbol.asyncDispose]());
      await Promise.all(cut);
    }
    server.close();
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
    if (!endless.destroyed) await once(endless, "close"); // What nobody takes is not held.
  });

  it("tells a guest whose client left in the middle of a body, instead of ending it as if it were whole", async () => {
    const body = new Readable({ read() {} });
    body.push("half");
    const headers = { "content-type": "application/octet-stream" };
    const waiting = fixture.channel.request(
      { method: "POST", path: `/files?path=${dirname(fixture.agent.channelPath)}/half`, headers, body },
      patience(),
    );
    setImmediate(() => body.destroy());
    await assert.rejects(waiting, (error) => Failure.is(error, "unavailable"));
  });
});

/** A request whose answer goes on for a minute. */
function longCommand() {
  const message = Buffer.from(JSON.stringify({ process: { cmd: "/bin/sleep", args: ["60"] } }));
  const body = Buffer.concat([Buffer.of(0, 0, 0, 0, message.length), message]);
  const headers = { "content-type": "application/connect+json" };
  return { method: "POST", path: "/process.Process/Start", headers, body };
}
