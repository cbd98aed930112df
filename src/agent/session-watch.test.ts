import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { silentLogger } from "../base/logger.ts";
import { systemRandom } from "../base/random.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import { AgentChannel } from "./channel.ts";
import { patience } from "./testing/agent-fixture.ts";
import { LocalAgent } from "./testing/local-agent.ts";

describe("AgentChannel, with an agent that hangs", () => {
  let agent: LocalAgent;
  before(async () => (agent = await LocalAgent.start()));
  after(async () => await agent[Symbol.asyncDispose]());

  it("ends when somebody has waited for a minute without a sign of life", async () => {
    const clock = new VirtualClock();
    const { channelPath: path, secret } = agent;
    const options = { path, secret, nextSecret: secret, clock, random: systemRandom, logger: silentLogger };
    await using channel = await AgentChannel.connect(options, patience());
    const health = () => channel.request({ method: "GET", path: "/health", headers: {} }, patience());
    (await health()).body.resume();
    process.kill(agent.pid, "SIGSTOP");
    await clock.advance(600_000); // Nobody waits, so it is left to sleep.
    const asked = health();
    const failed = assert.rejects(asked, (error) => Failure.is(error, "unavailable"));
    await clock.advance(70_000);
    assert.equal(channel.isOpen, true);
    await clock.advance(10_000);
    await failed;
    await channel.closed;
    process.kill(agent.pid, "SIGCONT");
  });
});
