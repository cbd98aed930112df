import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { after, before, describe, it } from "node:test";
import { Signal } from "./protocol/generated/process_pb.js";
import { AgentFixture, patience } from "./testing/agent-fixture.ts";

const by = (pid: number) => ({ selector: { case: "pid" as const, value: pid } });
const size = (cols: number, rows: number) => ({ size: { cols, rows } });
const typed = (text: string) => ({ input: { case: "pty" as const, value: Buffer.from(text) } });
const invalid = (error: unknown) => error instanceof ConnectError && error.code === Code.InvalidArgument;

describe("a process with a terminal", () => {
  let agent: AgentFixture;
  before(async () => (agent = await AgentFixture.start()));
  after(async () => await agent[Symbol.asyncDispose]());

  /** Starts `script` on a terminal. Its output is read as far as somebody waits for it. */
  const started = async (script: string, pty = size(80, 24)) => {
    const process = { cmd: "/bin/sh", args: ["-c", script] };
    const events = agent.processes.start({ process, pty }, { signal: patience() })[Symbol.asyncIterator]();
    const first = (await events.next()).value?.event?.event;
    assert.equal(first?.case, "start");
    const pid = first?.case === "start" ? first.value.pid : 0;
    let output = "";
    let end: { exitCode: number; error?: string | undefined } | undefined;
    const until = async (holds: () => boolean) => {
      while (!holds()) {
        const { value, done } = await events.next();
        if (done === true) return;
        const event = value.event?.event;
        if (event?.case === "end") end = event.value;
        if (event?.case !== "data") continue;
        assert.equal(event.value.output.case, "pty");
        assert.ok((event.value.output.value?.length ?? 0) <= 16 * 1024);
        output += Buffer.from(event.value.output.value ?? []).toString();
      }
    };
    return {
      pid,
      says: async (text: string) => {
        await until(() => output.includes(text));
        assert.ok(output.includes(text), output);
      },
      rest: async () => (await until(() => false), { output, end }),
      type: async (text: string) =>
        void (await agent.processes.sendInput({ process: by(pid), input: typed(text) })),
    };
  };

  it("has it as its own, with the size that was asked for", async () => {
    const told = await started(
      "(: < /dev/tty) && tty; test -t 0 -a -t 1 -a -t 2 && stty size; ps -o tpgid= -p $$; echo $$",
      size(101, 33),
    );
    const { output, end } = await told.rest();
    const [name, rows, foreground, pid] = output.split("\r\n");
    assert.match(name ?? "", /^\/dev\/pts\/\d+$/);
    assert.equal(rows, "33 101");
    assert.deepEqual([Number(foreground), Number(pid)], [told.pid, told.pid]);
    assert.equal(end?.exitCode, 0);
  });

  it("has a size that nobody knows when its client has no screen", async () => {
    const told = await started("stty size", size(0, 0));
    assert.deepEqual((await told.rest()).output, "0 0\r\n");
  });

  it("is told of a new size", async () => {
    const told = await started("trap 'stty size; exit 5' WINCH; echo ready; while :; do sleep 0.05; done");
    await told.says("ready");
    await agent.processes.update({ process: by(told.pid), pty: size(200, 50) });
    const { output, end } = await told.rest();
    assert.match(output, /50 200/);
    assert.equal(end?.exitCode, 5);
  });

  it("gets what is typed, control characters too", async () => {
    const told = await started("stty -echo; read line; echo got $line; exec cat");
    await told.type("one\n");
    await told.says("got one");
    await told.type("\u0003");
    assert.deepEqual((await told.rest()).end?.error, "signal: interrupt");
  });

  it("ends with all its output although something it started holds the terminal", async () => {
    const told = await started("sleep 60 & head -c 300000 /dev/zero | tr '\\0' x; echo; echo last");
    const { output, end } = await told.rest();
    assert.equal(output.length, 300_000 + "\r\nlast\r\n".length);
    assert.equal(end?.exitCode, 0);
  });

  it("takes input for its terminal only, and others for their stdin only", async () => {
    const told = await started("exec sleep 60");
    const process = by(told.pid);
    const stdin = { input: { case: "stdin" as const, value: Buffer.from("x") } };
    await assert.rejects(agent.processes.sendInput({ process, input: stdin }), invalid);
    await assert.rejects(agent.processes.closeStdin({ process }), invalid);
    await assert.rejects(agent.processes.update({ process, pty: size(70_000, 24) }), invalid);
    await agent.processes.sendSignal({ process, signal: Signal.SIGKILL });
    assert.equal((await told.rest()).end?.error, "signal: killed");
    const sleeping = { cmd: "/bin/sleep", args: ["60"] };
    const plain = agent.processes.start({ process: sleeping })[Symbol.asyncIterator]();
    const event = (await plain.next()).value?.event?.event;
    const other = by(event?.case === "start" ? event.value.pid : 0);
    await assert.rejects(agent.processes.sendInput({ process: other, input: typed("x") }), invalid);
    await assert.rejects(agent.processes.update({ process: other, pty: size(80, 24) }), invalid);
    await agent.processes.sendSignal({ process: other, signal: Signal.SIGKILL });
  });

  it("is not begun with a size that is none, or with a program that is none", async () => {
    await assert.rejects(started("true", size(70_000, 24)), invalid);
    for (const cmd of ["/no/such/program", "/etc/passwd"]) {
      const events = agent.processes.start({ process: { cmd }, pty: size(80, 24) })[Symbol.asyncIterator]();
      await assert.rejects(events.next(), invalid);
    }
  });
});
