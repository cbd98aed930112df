import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { userInfo } from "node:os";
import { after, before, describe, it } from "node:test";
import type { ProcessEvent } from "./protocol/generated/process_pb.js";
import { Signal } from "./protocol/generated/process_pb.js";
import { AgentFixture, patience } from "./testing/agent-fixture.ts";

const sh = (script: string) => ({ cmd: "/bin/sh", args: ["-c", script] });
const by = (pid: number) => ({ selector: { case: "pid" as const, value: pid } });
const stdin = (text: string) => ({ input: { case: "stdin" as const, value: Buffer.from(text) } });
const withCode = (code: Code) => (error: unknown) => error instanceof ConnectError && error.code === code;

interface Message {
  readonly event?: ProcessEvent | undefined;
}

/** Events in one line each: `start`, `out …`, `err …`, `end …`. */
class Told {
  readonly #events: AsyncIterator<Message>;
  pid = 0;

  constructor(events: AsyncIterable<Message>) {
    this.#events = events[Symbol.asyncIterator]();
  }

  async next(): Promise<string> {
    const { value, done } = await this.#events.next();
    if (done === true) return "over";
    const event = (value as Message).event?.event;
    if (event?.case === "start") this.pid = event.value.pid;
    if (event?.case === "end")
      return `end ${event.value.exitCode} ${event.value.error ?? event.value.status}`;
    if (event?.case !== "data") return String(event?.case);
    const { output } = event.value;
    return `${output.case === "stderr" ? "err" : "out"} ${Buffer.from(output.value ?? []).toString()}`;
  }

  /** All that is left. */
  async rest(): Promise<string[]> {
    const lines: string[] = [];
    for (let line = await this.next(); line !== "over"; line = await this.next()) lines.push(line);
    return lines;
  }
}

describe("process.Process", () => {
  let agent: AgentFixture;
  before(async () => (agent = await AgentFixture.start()));
  after(async () => await agent[Symbol.asyncDispose]());

  const start = (script: string, more: object = {}) =>
    new Told(agent.processes.start({ process: sh(script), ...more }, { signal: patience() }));
  /** Starts it and waits until it has its pid. */
  const started = async (script: string, more: object = {}) => {
    const told = start(script, more);
    assert.equal(await told.next(), "start");
    return told;
  };

  it("tells the pid first, then all output, and how the process ended last", async () => {
    const lines = await start("echo out; echo err >&2; exit 3").rest();
    assert.equal(lines[0], "start");
    assert.deepEqual(lines.slice(1, 3).sort(), ["err err\n", "out out\n"]);
    assert.deepEqual(lines.slice(3), ["end 3 exit status 3"]);
  });

  it("hands over every byte of a large output, in pieces of at most 32 KiB", async () => {
    let bytes = 0;
    let largest = 0;
    for await (const { event } of agent.processes.start({ process: sh("head -c 3000000 /dev/zero") })) {
      if (event?.event.case !== "data") continue;
      const { length } = event.event.value.output.value ?? Buffer.alloc(0);
      bytes += length;
      largest = Math.max(largest, length);
    }
    assert.equal(bytes, 3_000_000);
    assert.ok(largest <= 32 * 1024);
  });

  it("gives a process nothing of the agent's environment", async () => {
    const more = { process: { ...sh("/usr/bin/env -0"), envs: { MINE: "1", HOME: "/elsewhere" } } };
    const output = (await start("", more).rest())
      .filter((line) => line.startsWith("out "))
      .join("")
      .slice(4);
    const names = output.split("\0").map((pair) => pair.split("=", 1)[0] ?? "");
    const expected = ["", "E2B_SANDBOX", "HOME", "LOGNAME", "MINE", "PATH", "PWD", "USER"];
    assert.deepEqual(
      names
        .filter((name) => name !== "_" && name !== "OLDPWD" && name !== "SHLVL")
        .toSorted((a, b) => (a < b ? -1 : 1)),
      expected,
    );
    assert.match(output, /HOME=\/elsewhere/);
  });

  it("starts a process in the directory asked for, else at the user's home", async () => {
    const pwd = async (cwd?: string) =>
      (await start("", { process: { cmd: "/bin/pwd", ...(cwd === undefined ? {} : { cwd }) } }).rest())[1];
    assert.equal(await pwd("/usr"), "out /usr\n");
    assert.equal(await pwd(), `out ${userInfo().homedir}\n`);
    await assert.rejects(pwd("/nowhere"), withCode(Code.InvalidArgument));
    await assert.rejects(pwd("/etc/passwd"), withCode(Code.InvalidArgument));
  });

  it("refuses what cannot be started, with a sentence", async () => {
    const attempts = { "/no/such/program": {}, "/etc/passwd": {}, "": {}, "a\0b": {} };
    for (const cmd of Object.keys(attempts)) {
      await assert.rejects(start("", { process: { cmd } }).rest(), withCode(Code.InvalidArgument), cmd);
    }
  });

  it("lets a process open its own /dev/stdin, /dev/stdout and /dev/stderr", async () => {
    const told = await started("cat < /dev/stdin > /dev/stdout; echo x > /dev/stderr");
    await agent.processes.sendInput({ process: by(told.pid), input: stdin("through") });
    await agent.processes.closeStdin({ process: by(told.pid) });
    assert.deepEqual(await told.rest(), ["out through", "err x\n", "end 0 exit status 0"]);
  });

  it("passes input on as it comes, until its end", async () => {
    const told = await started("read a; echo got $a; cat");
    await agent.processes.sendInput({ process: by(told.pid), input: stdin("one\n") });
    assert.equal(await told.next(), "out got one\n");
    const process = by(told.pid);
    await agent.processes.streamInput(
      (async function* () {
        yield { event: { case: "start" as const, value: { process } } };
        yield { event: { case: "data" as const, value: { input: stdin("two") } } };
      })(),
    );
    assert.equal(await told.next(), "out two");
    await agent.processes.closeStdin({ process });
    assert.deepEqual(await told.rest(), ["end 0 exit status 0"]);
  });

  it("says so when a process takes no input", async () => {
    const told = await started("read line", { stdin: false });
    assert.deepEqual(await told.rest(), ["end 1 exit status 1"], "there is nothing to read");
    const other = await started("exec sleep 60", { stdin: false });
    const refused = agent.processes.sendInput({ process: by(other.pid), input: stdin("x") });
    await assert.rejects(refused, withCode(Code.InvalidArgument));
    await agent.processes.sendSignal({ process: by(other.pid), signal: Signal.SIGKILL });
    await other.rest();
  });

  it("lists what runs, with tag and command, and nothing else", async () => {
    const told = await started("exec sleep 60", { tag: "mine" });
    const { processes } = await agent.processes.list({});
    assert.deepEqual(
      processes.map(({ pid, tag, config }) => [pid, tag, config?.cmd]),
      [[told.pid, "mine", "/bin/sh"]],
    );
    await agent.processes.sendSignal({
      process: { selector: { case: "tag", value: "mine" } },
      signal: Signal.SIGTERM,
    });
    assert.deepEqual(await told.rest(), ["end -1 signal: terminated"]);
    assert.deepEqual((await agent.processes.list({})).processes, []);
  });

  it("kills what a process started along with it", async () => {
    const told = await started("sleep 60 & echo $!; wait");
    const child = Number((await told.next()).slice(4));
    await agent.processes.sendSignal({ process: by(told.pid), signal: Signal.SIGKILL });
    assert.deepEqual(await told.rest(), ["end -1 signal: killed"]);
    // The kernel ends it in its own time; who waits here for ever has seen it survive.
    await agent.client.run(
      `while ps -o stat= -p ${child} | grep -qv '^Z'; do sleep 0.01; done`,
      {},
      patience(),
    );
  });

  it("waits for output after the program's end, but not once it was told to end", async () => {
    const late = await start("(sleep 0.3; echo late) & echo soon").rest();
    assert.deepEqual(late.slice(1), ["out soon\n", "out late\n", "end 0 exit status 0"]);
    const told = await started("setsid sleep 5 & wait");
    await agent.processes.sendSignal({ process: by(told.pid), signal: Signal.SIGKILL });
    const before = performance.now();
    await told.rest();
    assert.ok(performance.now() - before < 4000);
  });

  it("knows no process by a number or tag that nobody has", async () => {
    const nobody = { selector: { case: "tag" as const, value: "nobody" } };
    await assert.rejects(
      agent.processes.sendInput({ process: nobody, input: stdin("") }),
      withCode(Code.NotFound),
    );
    await assert.rejects(agent.processes.closeStdin({ process: by(1) }), withCode(Code.NotFound));
    await assert.rejects(
      agent.processes.sendSignal({ process: by(1), signal: Signal.SIGKILL }),
      withCode(Code.NotFound),
    );
    await assert.rejects(
      new Told(agent.processes.connect({ process: nobody })).rest(),
      withCode(Code.NotFound),
    );
    await assert.rejects(
      agent.processes.sendSignal({ signal: Signal.SIGKILL }),
      withCode(Code.InvalidArgument),
    );
  });

  it("sends no signal but the two that are known", async () => {
    const told = await started("exec sleep 60");
    const refused = agent.processes.sendSignal({ process: by(told.pid), signal: Signal.UNSPECIFIED });
    await assert.rejects(refused, withCode(Code.InvalidArgument));
    await agent.processes.sendSignal({ process: by(told.pid), signal: Signal.SIGKILL });
    await told.rest();
  });

  it("knows no user that does not exist", async () => {
    const headers = { authorization: `Basic ${btoa("nobody-like-this:")}` };
    const refused = new Told(agent.processes.start({ process: sh("true") }, { headers })).rest();
    await assert.rejects(refused, /invalid username: 'nobody-like-this'/);
  });
});
