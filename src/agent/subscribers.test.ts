import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { readFileSync } from "node:fs";
import { buffer } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { Signal } from "./protocol/generated/process_pb.js";
import { AgentFixture, patience } from "./testing/agent-fixture.ts";

const sh = (script: string) => ({ cmd: "/bin/sh", args: ["-c", script] });
const by = (pid: number) => ({ selector: { case: "pid" as const, value: pid } });
const withCode = (code: Code) => (error: unknown) => error instanceof ConnectError && error.code === code;
const mib = 1024 * 1024;

describe("subscribers of a process", () => {
  let agent: AgentFixture;
  before(async () => (agent = await AgentFixture.start()));
  after(async () => await agent[Symbol.asyncDispose]());

  /** Starts `script` and returns its pid and the rest of its events. */
  async function started(script: string, options: object = {}) {
    const events = agent.processes.start({ process: sh(script) }, options)[Symbol.asyncIterator]();
    const { value } = await events.next();
    const first = value?.event?.event;
    assert.equal(first?.case, "start");
    return { pid: first?.case === "start" ? first.value.pid : 0, events };
  }

  async function outputOf(events: AsyncIterator<{ event?: { event: { case?: string; value?: unknown } } }>) {
    const chunks: Buffer[] = [];
    for (let each = await events.next(); each.done !== true; each = await events.next()) {
      const event = each.value.event?.event;
      if (event?.case !== "data") continue;
      chunks.push(Buffer.from((event.value as { output: { value: Uint8Array } }).output.value));
    }
    return Buffer.concat(chunks);
  }

  it("all get every byte that came after they had subscribed", async () => {
    const { pid, events } = await started("read go; head -c 2000000 /dev/zero");
    const others = [1, 2].map(() => agent.processes.connect({ process: by(pid) })[Symbol.asyncIterator]());
    for (const other of others) assert.equal((await other.next()).value?.event?.event.case, "start");
    await agent.processes.sendInput({
      process: by(pid),
      input: { input: { case: "stdin", value: Buffer.from("\n") } },
    });
    const outputs = await Promise.all([events, ...others].map((each) => outputOf(each as never)));
    assert.deepEqual(
      outputs.map(({ length }) => length),
      [2_000_000, 2_000_000, 2_000_000],
    );
  });

  it("who do not read hold the process up instead of filling the agent's memory, and lose nothing", async () => {
    const message = Buffer.from(JSON.stringify({ process: sh("head -c 40000000 /dev/zero; echo done >&2") }));
    const body = Buffer.concat([Buffer.alloc(5), message]);
    body.writeUInt32BE(message.length, 1);
    const headers = { "content-type": "application/connect+json" };
    const path = "/process.Process/Start";
    const answer = await agent.channel.request({ method: "POST", path, headers, body }, patience());
    const residentMib = () =>
      (Number(readFileSync(`/proc/${agent.agent.pid}/statm`, "utf8").split(" ")[1]) * 4096) / mib;
    const before = residentMib();
    // Other calls are answered meanwhile; by then an unbounded agent would hold all forty megabytes.
    for (let i = 0; i < 100; i++) await agent.client.health(patience());
    const { processes } = await agent.processes.list({});
    assert.equal(processes.length, 1, "it waits to be read");
    assert.ok(residentMib() - before < 24, `grew by ${residentMib() - before} MiB`);
    const all = await buffer(answer.body);
    assert.ok(all.length > 53_000_000, "base64 of forty megabytes");
  });

  it("who read slowly hold up neither the process nor the others, and are told when too far behind", async () => {
    const { pid, events } = await started("read go; head -c 12000000 /dev/zero; echo done >&2");
    const slow = agent.processes.connect({ process: by(pid) })[Symbol.asyncIterator]();
    assert.equal((await slow.next()).value?.event?.event.case, "start");
    const input = { input: { case: "stdin" as const, value: Buffer.from("\n") } };
    await agent.processes.sendInput({ process: by(pid), input });
    const all = await outputOf(events as never);
    assert.equal(all.length, 12_000_005);
    await assert.rejects(outputOf(slow as never), withCode(Code.ResourceExhausted));
  });

  it("may leave without hurting the process", async () => {
    const leaving = new AbortController();
    const { pid, events } = await started("head -c 3000000 /dev/zero; read go", { signal: leaving.signal });
    leaving.abort();
    await assert.rejects(async () => await events.next());
    const { processes } = await agent.processes.list({});
    assert.deepEqual(
      processes.map((each) => each.pid),
      [pid],
    );
    await agent.processes.sendSignal({ process: by(pid), signal: Signal.SIGKILL });
  });

  it("end the process when they had given it a time, and are told so", async () => {
    const { pid, events } = await started("exec sleep 60", { timeoutMs: 500 });
    await assert.rejects(async () => await events.next(), withCode(Code.DeadlineExceeded));
    const replay = agent.processes.connect({ process: by(pid) });
    const cases: (string | undefined)[] = [];
    for await (const { event } of replay) cases.push(event?.event.case);
    assert.deepEqual(
      cases.filter((each) => each !== "data"),
      ["start", "end"],
    );
  });

  it("who connect with a time of their own end only their own stream", async () => {
    const { pid, events } = await started("read go; echo went");
    const other = agent.processes.connect({ process: by(pid) }, { timeoutMs: 300 })[Symbol.asyncIterator]();
    await other.next();
    await assert.rejects(async () => await other.next(), withCode(Code.DeadlineExceeded));
    await agent.processes.sendInput({
      process: by(pid),
      input: { input: { case: "stdin", value: Buffer.from("\n") } },
    });
    assert.equal((await outputOf(events as never)).toString(), "went\n");
  });

  it("who come after the end are told start and end", async () => {
    const { pid, events } = await started("exit 4");
    await outputOf(events as never);
    const told: unknown[] = [];
    for await (const { event } of agent.processes.connect({ process: by(pid) })) told.push(event?.event.case);
    assert.deepEqual(told, ["start", "end"]);
  });

  it("get a sign of life as often as they asked for", async () => {
    const { pid, events } = await started("exec sleep 60", { headers: { "Keepalive-Ping-Interval": "1" } });
    assert.equal((await events.next()).value?.event?.event.case, "keepalive");
    await agent.processes.sendSignal({ process: by(pid), signal: Signal.SIGKILL });
    await outputOf(events as never);
  });
});
