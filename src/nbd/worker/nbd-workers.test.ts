import assert from "node:assert/strict";
import { truncateSync } from "node:fs";
import { describe, it } from "node:test";
import { Failure } from "../../base/failure.ts";
import { SeededRandom } from "../../base/testing/seeded-random.ts";
import { dataOf } from "../testing/reply-parser.ts";
import { until, WorkerScene } from "../testing/worker-scene.ts";

const chunkBytes = 256 * 1024;

describe("NbdWorkers", () => {
  it("C13: answer what is present without a word to the main thread, whatever its size", () =>
    WorkerScene.run(async (scene) => {
      await using _nbdExport = await scene.listen();
      using client = await scene.connect();
      const random = new SeededRandom(7);
      const reads = Array.from({ length: 200 }, (_, n) => {
        const bytes = n % 10 === 0 ? 1 + random.below(600_000) : 1 + random.below(10_000);
        return { offset: random.below(scene.device.bytes - bytes), bytes };
      });
      const replies = await client.read(...reads);
      for (const [n, { offset, bytes }] of reads.entries()) {
        const reply = replies[n] ?? assert.fail();
        assert.ok(dataOf(reply).equals(scene.device.data.subarray(offset, offset + bytes)), `read ${n}`);
      }
      assert.deepEqual(scene.said, []);
      assert.equal(scene.hits(), reads.length);
      const sum = reads.reduce((sum, { bytes }) => sum + bytes, 0);
      assert.equal(scene.meter.get("larder_nbd_read_bytes_total"), sum);
    }));

  it("ask the main thread for what is not present, as long as it is not", () =>
    WorkerScene.run(async (scene) => {
      await using _nbdExport = await scene.listen();
      using client = await scene.connect();
      scene.setPresent(1, false);
      const [offset, bytes] = [chunkBytes - 1000, 3000];
      const expected = scene.device.data.subarray(offset, offset + bytes);
      assert.ok((await client.readBytes(offset, bytes)).equals(expected));
      assert.deepEqual(
        scene.said.map(({ type }) => type),
        ["read"],
      );
      scene.setPresent(1, true);
      assert.ok((await client.readBytes(offset, bytes)).equals(expected));
      assert.equal(scene.said.length, 1);
      scene.workers.tellCounts();
      assert.equal(scene.meter.get("larder_nbd_reads_total", { outcome: "miss" }), 1);
    }));

  it("tell a client of a failed read, and the log why", () =>
    WorkerScene.run(async (scene) => {
      await using _nbdExport = await scene.listen();
      using client = await scene.connect();
      scene.setPresent(0, false);
      scene.device.beforeRead = () => Promise.reject(new Failure("unavailable", "the store is away"));
      const [reply] = await client.read({ offset: 0, bytes: 4096 });
      assert.equal(reply?.errno, 5);
      const [line] = scene.logger.warnings;
      assert.equal(line?.event, "NBD request failed");
      assert.match(JSON.stringify(line.facts), /"code":"unavailable".*the store is away/);
    }));

  it("serve several clients of one disk, and one too many not", () =>
    WorkerScene.run(async (scene) => {
      await using nbdExport = await scene.listen();
      const clients = await Promise.all(Array.from({ length: 16 }, () => scene.connect()));
      assert.equal(nbdExport.connections, 16);
      await assert.rejects(scene.connect(), /hung up/);
      const answers = await Promise.all(clients.map((client, n) => client.readBytes(n * 4096, 65536)));
      for (const [n, answer] of answers.entries())
        assert.ok(answer.equals(scene.device.data.subarray(n * 4096, n * 4096 + 65536)));
      for (const client of clients) client[Symbol.dispose]();
    }));

  it("hang up on a client whose file ends in the middle of a reply, and ask elsewhere from then on", () =>
    WorkerScene.run(async (scene) => {
      await using _nbdExport = await scene.listen();
      using client = await scene.connect();
      truncateSync(scene.file, 3 * chunkBytes);
      await assert.rejects(client.readBytes(3 * chunkBytes - 4096, 65536), /hung up/);
      assert.deepEqual(
        scene.logger.warnings.map(({ event }) => event),
        ["NBD client hung up on"],
      );
      using second = await scene.connect();
      const expected = scene.device.data.subarray(3 * chunkBytes - 4096, 3 * chunkBytes + 61440);
      assert.ok((await second.readBytes(3 * chunkBytes - 4096, 65536)).equals(expected));
    }));

  it("C10: say when nothing is being read any more that was present before", () =>
    WorkerScene.run(async (scene) => {
      await using _nbdExport = await scene.listen();
      using client = await scene.connect();
      client.socket.pause();
      const reading = client.read({ offset: 0, bytes: scene.device.bytes });
      await until(() => scene.hits() === 1);
      let passed = false;
      const passing = scene.workers.passed().then(() => (passed = true));
      using second = await scene.connect(); // is served after the worker has heard the question
      await second.readBytes(0, 4096);
      assert.equal(passed, false, "the client has not taken it yet");
      client.socket.resume();
      await reading;
      await passing;
    }));
});
