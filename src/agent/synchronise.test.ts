import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { systemClock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { silentLogger } from "../base/logger.ts";
import { systemRandom } from "../base/random.ts";
import { AgentChannel } from "./channel.ts";
import { patience } from "./testing/agent-fixture.ts";
import { LocalAgent } from "./testing/local-agent.ts";

const quiet = { clock: systemClock, random: systemRandom, logger: silentLogger };
const tooShort = () => AbortSignal.timeout(400);

describe("AgentChannel.connect", () => {
  let agent: LocalAgent;
  let secret: Buffer;
  before(async () => {
    agent = await LocalAgent.start();
    secret = agent.secret;
  });
  after(async () => await agent[Symbol.asyncDispose]());

  it("finds the start of its session again and again, whatever an older one left behind", async () => {
    for (let turn = 0; turn < 5; turn++) {
      const old = connect(agent.channelPath).on("error", () => {});
      old.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), randomBytes(70_000)]));
      await once(old, "connect");
      await using channel = await agent.connect(patience(), { secret });
      assert.equal(await health(channel), 204);
      old.destroy();
    }
  });

  it("ends the session before it, and with it all that goes on over it", async () => {
    await using first = await agent.connect(patience(), { secret });
    await using second = await agent.connect(patience(), { secret });
    await first.closed;
    await assert.rejects(health(first), (error) => Failure.is(error, "unavailable"));
    assert.equal(await health(second), 204);
  });

  it("installs the next secret with the first session, and the one before serves no more", async () => {
    const before = secret;
    secret = randomBytes(16);
    {
      await using channel = await agent.connect(patience(), { secret: before, nextSecret: secret });
      await health(channel);
    }
    await assert.rejects(agent.connect(tooShort(), { secret: before }), { name: "TimeoutError" });
    await using channel = await agent.connect(patience(), { secret });
    assert.equal(await health(channel), 204);
  });

  it("gets in with either secret when it is not known whether the guest changed over", async () => {
    await using channel = await agent.connect(patience(), { secret: randomBytes(16), nextSecret: secret });
    assert.equal(await health(channel), 204);
  });

  it("gives up when its signal aborts, and fails at once where nobody listens", async () => {
    await assert.rejects(agent.connect(tooShort(), { secret: randomBytes(16) }), { name: "TimeoutError" });
    const nowhere = AgentChannel.connect(
      { ...quiet, path: "/nowhere", secret, nextSecret: secret },
      patience(),
    );
    await assert.rejects(nowhere, (error) => Failure.is(error, "not_found"));
  });

  it("may be closed as soon as it is there", async () => {
    for (let turn = 0; turn < 5; turn++) await (await agent.connect(patience(), { secret })).close();
  });

  it("ends when the guest's end of the port is closed, and with it all that waits", async () => {
    const channel = await agent.connect(patience(), { secret });
    const headers = { "content-type": "application/octet-stream" };
    const body = new Readable({ read() {} });
    const path = `/files?path=${dirname(agent.channelPath)}/x`;
    const waiting = channel.request({ method: "POST", path, headers, body }, patience());
    const rejected = assert.rejects(waiting, (error) => Failure.is(error, "unavailable"));
    await health(channel);
    await agent[Symbol.asyncDispose]();
    await rejected;
    await channel.closed;
    await assert.rejects(health(channel), (error) => Failure.is(error, "unavailable"));
  });
});

async function health(channel: AgentChannel): Promise<number> {
  const { status, body } = await channel.request({ method: "GET", path: "/health", headers: {} }, patience());
  body.resume();
  return status;
}
