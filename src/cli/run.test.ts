import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { describe, it } from "node:test";
import { AgentFixture } from "../agent/testing/agent-fixture.ts";
import { decodeFrames, encodeFrame } from "./connect-stream.ts";
import { shellLine } from "./shell-line.ts";
import { TestDaemon } from "./testing/test-daemon.ts";

interface Start {
  readonly process: { readonly cmd: string; readonly args: readonly string[]; readonly cwd?: string };
}

const done = end({});

describe("larder run", () => {
  it("passes on what the command prints, returns its exit code, and ends the sandbox", async () => {
    await using daemon = await TestDaemon.start();
    const agent = await agentOf(daemon, [
      message({ start: { pid: 7 } }),
      message({ data: { stdout: base64("out") } }),
      message({ data: { stderr: base64("err") } }),
      message({ end: { exitCode: 3, exited: true, status: "exit status 3" } }),
      done,
    ]);
    await using _agent = agent;
    const args = [
      "run",
      "--env",
      "A=b=c",
      "--user",
      "root",
      "--cwd",
      "/tmp",
      "--timeout",
      "60",
      "--",
      "ls",
      "-la",
      "it's",
    ];
    const { code, terminal } = await daemon.larder(args);
    assert.deepEqual([code, terminal.printed, terminal.complained], [3, "out", "err"]);
    const { process } = agent.started[0] ?? assert.fail();
    assert.deepEqual(process.args, ["-l", "-c", `'ls' '-la' 'it'\\''s'`]);
    assert.equal(process.cwd, "/tmp");
    assert.equal(agent.authorizations[0], `Basic ${Buffer.from("root:").toString("base64")}`);
    const [asked] = daemon.api.sandboxes.asked;
    assert.deepEqual([asked?.envs, asked?.timeoutMs], [{ A: "b=c" }, 60_000]);
    assert.equal((await daemon.api.call("GET", "/sandboxes")).body.length, 0);
  });

  it("gives the command what is piped in, to its end, and does not wait for one that reads no more", async () => {
    await using daemon = await TestDaemon.start();
    await using guest = await AgentFixture.start();
    daemon.api.sandboxes.guest = guest.channel;
    const much = "x".repeat(100_000);
    const counted = await daemon.larder(["run", "wc -c; exit 3"], undefined, [much, "end\n"]);
    assert.deepEqual([counted.code, counted.terminal.printed.trim()], [3, "100004"]);
    const deaf = await daemon.larder(["run", "exec true"], undefined, Array(100).fill(much));
    assert.equal(deaf.code, 0, deaf.terminal.complained);
  });

  it("a command that a signal ended has the exit code that shells give it", async () => {
    await using daemon = await TestDaemon.start();
    await using _agent = await agentOf(daemon, [
      message({ end: { exitCode: -1, error: "signal: killed" } }),
      done,
    ]);
    assert.equal((await daemon.larder(["run", "sleep 9"])).code, 137);
  });

  it("a sandbox that ends under the command is reported, and is gone", async () => {
    await using daemon = await TestDaemon.start();
    await using _agent = await agentOf(daemon, [message({ start: { pid: 7 } })]);
    const { code, terminal } = await daemon.larder(["run", "sleep 9"]);
    assert.equal(code, 1);
    assert.match(terminal.complained, /^larder run: the stream broke off/);
    assert.equal((await daemon.api.call("GET", "/sandboxes")).body.length, 0);
  });

  it("a connection that is cut under the command is told in the same words", async () => {
    await using daemon = await TestDaemon.start();
    const cut = (response: ServerResponse) => void response.destroy();
    await using _agent = await agentOf(daemon, [message({ start: { pid: 7 } })], cut);
    const { code, terminal } = await daemon.larder(["run", "sleep 9"]);
    assert.equal(code, 1);
    assert.equal(terminal.complained, "larder run: the stream broke off: the sandbox has probably ended\n");
  });

  it("an error at the start is reported", async () => {
    await using daemon = await TestDaemon.start();
    const error = { code: "unauthenticated", message: "invalid username: 'x'" };
    await using _agent = await agentOf(daemon, [end({ error })]);
    const { code, terminal } = await daemon.larder(["run", "true"]);
    assert.deepEqual([code, terminal.complained], [1, "larder run: invalid username: 'x'\n"]);
  });

  it("Ctrl-C ends the sandbox too", async () => {
    await using daemon = await TestDaemon.start();
    const stop = new AbortController();
    await using _agent = await agentOf(daemon, [message({ start: { pid: 7 } })], () => stop.abort());
    const { code } = await daemon.larder(["run", "sleep 9"], stop.signal);
    assert.equal(code, 1);
    assert.equal((await daemon.api.call("GET", "/sandboxes")).body.length, 0);
  });
});

describe("shellLine", () => {
  it("one word is a line for the shell, several are quoted words", () => {
    assert.equal(shellLine(["ls | wc -l"]), "ls | wc -l");
    assert.equal(shellLine(["echo", "a  b", "$HOME"]), "'echo' 'a  b' '$HOME'");
  });
});

describe("decodeFrames", () => {
  it("messages come out whole however they were cut", async () => {
    const bytes = Buffer.concat([encodeFrame({ a: 1 }), encodeFrame({ b: "x".repeat(300) }), done]);
    for (const size of [1, 2, 7, 1000]) {
      const messages = [];
      for await (const decoded of decodeFrames(cut(bytes, size))) messages.push(decoded);
      assert.deepEqual(messages, [{ a: 1 }, { b: "x".repeat(300) }]);
    }
  });

  it("a length without bounds is refused", async () => {
    const frames = decodeFrames(cut(Buffer.from([0, 255, 255, 255, 255, 0]), 6));
    await assert.rejects(frames.next(), { code: "corrupt" });
  });
});

async function* cut(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function message(event: object): Buffer {
  return encodeFrame({ event });
}

function end(body: object): Buffer {
  const frame = encodeFrame(body);
  frame.writeUInt8(2, 0);
  return frame;
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

/** An agent that answers every start with these frames, and then ends the answer, or calls `then`. */
async function agentOf(
  daemon: TestDaemon,
  frames: readonly Buffer[],
  then?: (response: ServerResponse) => void,
) {
  const started: Start[] = [];
  const authorizations: (string | undefined)[] = [];
  const answer: RequestListener = (request, response) => {
    authorizations.push(request.headers.authorization);
    void buffer(request).then((body) => {
      started.push(JSON.parse(body.subarray(5).toString()) as Start);
      response.writeHead(200, { "content-type": "application/connect+json" });
      response.write(Buffer.concat(frames), () => {
        if (then !== undefined) then(response);
        else response.end();
      });
    });
  };
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  daemon.api.channel.agentPort = (server.address() as AddressInfo).port;
  const close = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  return { started, authorizations, [Symbol.asyncDispose]: close };
}
