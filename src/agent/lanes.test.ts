import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { after, before, beforeEach, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { eventually } from "../base/testing/virtual-clock.ts";
import { AgentFixture, patience } from "./testing/agent-fixture.ts";
import { ProcessBytes } from "./testing/process-bytes.ts";

const mib = 1024 * 1024;
const octets = { "content-type": "application/octet-stream" };
const content = randomBytes(5 * mib + 12345);

describe("lanes", () => {
  let agent: AgentFixture;
  let directory: string;
  let memory: ProcessBytes;
  const at = (name: string) => join(directory, name);
  const pathOf = (name: string) => `/files?path=${encodeURIComponent(at(name))}`;
  const moved = () => memory.readBytes + memory.writtenBytes;
  before(async () => {
    agent = await AgentFixture.start({ bytesOf: (pid) => (memory = new ProcessBytes(pid)) });
    directory = await mkdtemp(join(tmpdir(), "larder-lanes-"));
    await writeFile(at("known"), content);
    await read("known"); // From now on there is `memory`.
  });
  beforeEach(() => {
    memory.readBytes = 0;
    memory.writtenBytes = 0;
  });
  after(async () => {
    await agent[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  const ask = (name: string, headers = {}) =>
    agent.channel.request({ method: "GET", path: pathOf(name), headers }, patience());
  const read = async (name: string, headers = {}) => {
    const answer = await ask(name, headers);
    return { ...answer, body: await buffer(answer.body) };
  };
  const write = (name: string, pieces: Iterable<Buffer>, headers: Record<string, string> = octets) =>
    agent.ask({ method: "POST", path: pathOf(name), headers, body: Readable.from(pieces) });

  function* piecesOf(bytes: Buffer, size: number) {
    for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
  }

  it("carry every byte of a file both ways, in pieces of any size", async () => {
    for (const size of [65_536, 1000, 3 * mib]) {
      assert.equal((await write("copy", piecesOf(content, size))).status, 200);
      assert.ok((await readFile(at("copy"))).equals(content));
      const { status, headers, body } = await read("copy");
      assert.equal(status, 200);
      assert.equal(headers["content-length"], String(content.length));
      assert.ok(body.equals(content));
      assert.ok(!("x-larder-lane" in headers) && !("x-larder-length" in headers));
    }
    assert.ok(moved() >= 6 * content.length, "nothing passed by the channel");
  });

  it("carry ranges, forms and what comes packed", async () => {
    const part = await read("known", { range: "bytes=1000-2000999" });
    assert.equal(part.status, 206);
    assert.equal(part.headers["content-range"], `bytes 1000-2000999/${content.length}`);
    assert.ok(part.body.equals(content.subarray(1000, 2_001_000)));
    assert.ok(memory.readBytes >= 2_000_000);
    const packed = gzipSync(content, { level: 0 });
    await write("unpacked", piecesOf(packed, 50_000), { ...octets, "content-encoding": "gzip" });
    assert.ok((await readFile(at("unpacked"))).equals(content));
    const form = Buffer.concat([
      Buffer.from('--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'),
      content,
      Buffer.from("\r\n--b--\r\n"),
    ]);
    await write("form", piecesOf(form, 70_000), { "content-type": "multipart/form-data; boundary=b" });
    assert.ok((await readFile(at("form"))).equals(content));
    assert.ok(memory.writtenBytes >= packed.length + form.length);
    const { headers, body } = await read("known", { "accept-encoding": "gzip" });
    assert.equal(headers["content-encoding"], undefined, "packing would cost more than the way");
    assert.ok(body.equals(content));
  });

  it("are not taken for what is small, nor by a client who asks for one himself", async () => {
    await writeFile(at("small"), "12345");
    const lane = { "x-larder-lane": "1", "X-Larder-Lane": "0123" };
    assert.equal((await read("small", lane)).body.toString(), "12345");
    const length = { "content-length": "5" };
    assert.equal(
      (await write("small", [Buffer.from("54321")], { ...octets, ...length, ...lane })).status,
      200,
    );
    assert.equal(await readFile(at("small"), "utf8"), "54321");
    assert.equal(moved(), 0);
  });

  it("are lent to as many as there are, and the others pass by the channel", async () => {
    const slow = await Promise.all(Array.from({ length: 6 }, () => ask("known")));
    assert.ok((await read("known")).body.equals(content), "none waits for those who do not read");
    assert.equal((await write("copy", piecesOf(content, 65_536))).status, 200);
    for (const { body } of slow) assert.ok((await buffer(body)).equals(content));
  });

  it("are free again when one side has given up", async () => {
    for (let turn = 0; turn < 12; turn++) {
      const { body } = await ask("known");
      body.destroy();
      const broken = Readable.from(
        (async function* () {
          yield content;
          throw new Error("the client has left");
        })(),
      );
      const upload = { method: "POST", path: pathOf("broken"), headers: octets, body: broken };
      await assert.rejects(agent.ask(upload));
    }
    const failed = await agent.ask({
      method: "POST",
      path: "/files?path=/proc/none",
      headers: octets,
      body: Readable.from(piecesOf(content, 65_536)),
    });
    assert.ok(failed.status >= 400);
    let byLanes = false;
    for (let turn = 0; turn < 20 && !byLanes; turn++) {
      memory.readBytes = 0;
      const all = await Promise.all(Array.from({ length: 4 }, () => read("known")));
      assert.ok(all.every(({ body }) => body.equals(content)));
      byLanes = memory.readBytes >= all.length * content.length;
    }
    assert.ok(byLanes, "all of them are there again");
  });

  it("are not waited for by a client who has left", async () => {
    const body = new Readable({ read() {} });
    const upload = agent.ask({ method: "POST", path: pathOf("never"), headers: octets, body });
    body.destroy(new Error("the client has left"));
    await assert.rejects(upload, /the client has left/);
    assert.ok(!existsSync(at("never")));
  });

  it("send what a slow client has sent as soon as the guest has nothing else to do", async () => {
    const { promise: rest, resolve } = Promise.withResolvers<void>();
    const body = Readable.from(
      (async function* () {
        yield Buffer.from("begun");
        await rest;
        yield Buffer.from(" and ended");
      })(),
    );
    const done = agent.ask({ method: "POST", path: pathOf("slowly"), headers: octets, body });
    await eventually(() => existsSync(at("slowly")) && readFileSync(at("slowly"), "utf8") === "begun");
    resolve();
    assert.equal((await done).status, 200);
    assert.equal(await readFile(at("slowly"), "utf8"), "begun and ended");
  });
});

describe("a channel whose guest's memory cannot be reached", () => {
  for (const [why, bytesOf] of [
    ["since the host forbids it", () => assert.fail("forbidden")],
    ["at once", (pid: number) => Object.assign(new ProcessBytes(pid), { isReady: false })],
    ["where the guest says", (pid: number) => Object.assign(new ProcessBytes(pid), { readNow: () => {} })],
  ] as const) {
    it(`carries files itself ${why}`, async () => {
      await using agent = await AgentFixture.start({ bytesOf });
      const directory = await mkdtemp(join(tmpdir(), "larder-lanes-"));
      const path = `/files?path=${join(directory, "file")}`;
      for (let turn = 0; turn < 2; turn++) {
        const up = { method: "POST", path, headers: octets, body: Readable.from([content]) };
        assert.equal((await agent.ask(up)).status, 200);
        assert.ok((await agent.ask({ path })).body.equals(content));
      }
      await rm(directory, { recursive: true });
    });
  }
});
