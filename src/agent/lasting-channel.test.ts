import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { createClient } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { silentLogger } from "../base/logger.ts";
import { systemRandom } from "../base/random.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import { AgentClient } from "./agent-client.ts";
import { channelTransport } from "./channel-transport.ts";
import { LastingChannel } from "./lasting-channel.ts";
import { Process, Signal } from "./protocol/generated/process_pb.js";
import { patience } from "./testing/agent-fixture.ts";
import { LocalAgent } from "./testing/local-agent.ts";

const settings = {
  nowMs: Date.now(),
  entropy: Buffer.alloc(64, 1),
  hostname: "i0",
  accessToken: "the-token",
  envVars: { GREETING: "hello" },
  defaultUser: "root",
  defaultWorkdir: "/usr",
  bootId: "0b29aa0e-1111-4111-8111-0123456789ab",
};

describe("LastingChannel", () => {
  let agent: LocalAgent;
  let channel: LastingChannel;
  let clock: VirtualClock;
  beforeEach(async () => {
    agent = await LocalAgent.start({ restartable: true });
    clock = new VirtualClock();
    const secrets = { secret: agent.secret, nextSecret: randomBytes(16) };
    const options = { path: agent.channelPath, clock, random: systemRandom, logger: silentLogger };
    channel = await LastingChannel.connect({ ...options, ...secrets }, patience());
  });
  afterEach(async () => {
    await channel.close();
    await agent[Symbol.asyncDispose]();
  });

  const envs = async (token = "the-token") => {
    const headers = { "x-access-token": token };
    const { status, body } = await channel.request({ method: "GET", path: "/envs", headers }, patience());
    return { status, said: await text(body) };
  };

  /** Resolves when whoever waits for an answer of the agent that died has been told. */
  const replaced = async () => {
    const body = new Readable({ read() {} });
    const octets = { "content-type": "application/octet-stream", "x-access-token": "the-token" };
    const path = `/files?path=${agent.channelPath}-upload`;
    const underWay = channel.request({ method: "POST", path, headers: octets, body }, patience());
    const failed = assert.rejects(underWay, (error) => Failure.is(error, "unavailable"));
    body.push("half");
    await envs();
    await agent.die();
    await agent.startAgain();
    await clock.advance(1_000); // Its session may have been a short one.
    await failed;
  };

  it("finds an agent that was started again, which still knows what it was told", async () => {
    await new AgentClient(channel).init(settings, patience());
    await replaced();
    assert.deepEqual(await envs(), { status: 200, said: JSON.stringify(settings.envVars) });
    assert.equal((await envs("another")).status, 401);
    const again = await new AgentClient(channel, "the-token").run("echo $GREETING; pwd", {}, patience());
    assert.equal(again.stdout, "hello\n/usr\n");
  });

  it("fails what was under way when the agent died, and carries out later what is asked meanwhile", async () => {
    await replaced();
    assert.equal((await envs()).status, 200);
  });

  it("lists what an agent that was started again finds running, ends it and tells its end", async () => {
    await new AgentClient(channel).init(settings, patience());
    const headers = { "x-access-token": "the-token" };
    const processes = createClient(Process, channelTransport(channel));
    const start = async (script: string, tag: string) => {
      const config = { cmd: "/bin/sh", args: ["-c", script] };
      const events = processes.start({ process: config, tag }, { headers })[Symbol.asyncIterator]();
      const { value } = await events.next();
      const event = value?.event?.event;
      return event?.case === "start" ? event.value.pid : assert.fail();
    };
    const pid = await start("exec sleep 100", "kept");
    await start("exit 0", "ended");
    await replaced();
    const list = async () =>
      (await processes.list({}, { headers })).processes.map(({ pid, tag, config }) => ({
        pid,
        tag,
        cmd: config?.cmd,
      }));
    assert.deepEqual(await list(), [{ pid, tag: "kept", cmd: "/bin/sh" }]);
    const process = { selector: { case: "tag" as const, value: "kept" } };
    const events = processes.connect({ process }, { headers })[Symbol.asyncIterator]();
    assert.equal((await events.next()).value?.event?.event.case, "start");
    const input = { input: { case: "stdin" as const, value: Buffer.from("x") } };
    await assert.rejects(
      processes.sendInput({ process, input }, { headers }),
      /stdin of process \d+ was closed/,
    );
    await processes.sendSignal({ process, signal: Signal.SIGKILL }, { headers });
    const end = (await events.next()).value?.event?.event;
    assert.match(end?.case === "end" ? (end.value.error ?? "") : "", /not known/);
    assert.deepEqual(await list(), []);
  });

  it("ends at once when it is closed while the agent is away, and with it all that waits", async () => {
    await agent.die();
    const waiting = assert.rejects(envs(), (error) => Failure.is(error, "cancelled"));
    await channel.close();
    await waiting;
    await assert.rejects(envs(), (error) => Failure.is(error, "cancelled"));
  });

  it("ends when its port is gone for good", async () => {
    await agent[Symbol.asyncDispose]();
    for (let turn = 0; turn < 100; turn++) await clock.advance(250);
    await channel.closed;
    await assert.rejects(envs(), (error) => Failure.is(error, "unavailable"));
  });
});
