import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { mkdtemp, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { eventually } from "../base/testing/virtual-clock.ts";
import { AgentFixture } from "./testing/agent-fixture.ts";
import { ProcessBytes } from "./testing/process-bytes.ts";

const mib = 1024 * 1024;
/** `npm run soak` asks for larger ones. */
const fileBytes = Number(process.env["LARDER_SOAK_MIB"] ?? 12) * mib;
const pieceBytes = 64 * 1024;
/** What may be under way of one file: the windows of its stream, and buffers on both sides. */
const underWayBytesMax = 4 * mib;
const residentBytesMax = 160 * mib;

for (const way of ["the channel", "the memory of the machine"])
  describe(`a large file that passes by ${way}`, () => {
    let agent: AgentFixture;
    let directory: string;
    const at = (name: string) => join(directory, name);
    const pathOf = (name: string) => `/files?path=${encodeURIComponent(at(name))}`;
    const forever = new AbortController().signal;
    before(async () => {
      agent = await AgentFixture.start(
        way === "the channel" ? {} : { bytesOf: (pid) => new ProcessBytes(pid) },
      );
      directory = await mkdtemp(join(tmpdir(), "larder-large-"));
      await writeFile(at("large"), "");
      await truncate(at("large"), fileBytes);
    });
    after(async () => {
      await agent[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    });

    const read = () => agent.channel.request({ method: "GET", path: pathOf("large"), headers: {} }, forever);
    const health = async () => assert.equal((await agent.ask({ path: "/health" })).status, 204);
    /** How many bytes the agent has read from anywhere so far. */
    const readSoFar = () =>
      Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${agent.agent.pid}/io`, "utf8"))?.[1]);
    const resident = () =>
      Number(readFileSync(`/proc/${agent.agent.pid}/statm`, "utf8").split(" ")[1]) * 4096;

    /** As large as the file, a piece at a time. */
    function upload(name: string) {
      let sent = 0;
      const body = new Readable({
        read() {
          const piece = Buffer.alloc(Math.min(pieceBytes, fileBytes - sent), 7);
          sent += piece.length;
          this.push(piece.length === 0 ? null : piece);
        },
      });
      const headers = { "content-type": "application/octet-stream" };
      const path = pathOf(name);
      return { sent: () => sent, done: agent.ask({ method: "POST", path, headers, body }, forever) };
    }

    async function lengthOf(body: AsyncIterable<Buffer>): Promise<number> {
      let bytes = 0;
      for await (const piece of body) bytes += piece.length;
      return bytes;
    }

    it("is read no faster than its reader takes it, and holds up nobody else", async () => {
      const before = resident();
      const slow = await read();
      await settledBelow(readSoFar, underWayBytesMax);
      const one = upload("copy");
      const other = await read();
      const reading = lengthOf(other.body);
      for (let turn = 0; turn < 10; turn++) await health();
      assert.equal((await one.done).status, 200);
      assert.equal((await stat(at("copy"))).size, fileBytes);
      assert.equal(await reading, fileBytes);
      assert.ok(resident() - before < residentBytesMax, `the agent grew by ${resident() - before} bytes`);
      assert.equal(await lengthOf(slow.body), fileBytes);
    });

    it("is sent no faster than it is written", async () => {
      process.kill(agent.agent.pid, "SIGSTOP");
      const { sent, done } = upload("held-up");
      await settledBelow(sent, underWayBytesMax);
      process.kill(agent.agent.pid, "SIGCONT");
      assert.equal((await done).status, 200);
      assert.equal((await stat(at("held-up"))).size, fileBytes);
    });

    it("is closed when its reader leaves", async () => {
      const descriptors = `/proc/${agent.agent.pid}/fd`;
      const opened = () => readdirSync(descriptors).map((fd) => readlinkOf(join(descriptors, fd)));
      const { body } = await read();
      assert.ok(opened().includes(at("large")));
      body.destroy();
      await eventually(() => !opened().includes(at("large")));
    });

    /** Waits until a count stands still, and asserts that it did so below a limit. */
    async function settledBelow(count: () => number, growthMax: number): Promise<void> {
      const start = count();
      let last = -1;
      let turns = 0;
      await eventually(() => {
        turns = count() === last ? turns + 1 : 0;
        last = count();
        return turns > 50;
      });
      assert.ok(last - start < growthMax, `${last - start} bytes are under way`);
    }
  });

function readlinkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // It was closed meanwhile.
  }
}
