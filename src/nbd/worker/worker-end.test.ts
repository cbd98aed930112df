import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Failure } from "../../base/failure.ts";
import { SeededRandom } from "../../base/testing/seeded-random.ts";
import { settled, VirtualClock } from "../../base/testing/virtual-clock.ts";
import { command } from "../protocol.ts";
import { dataOf } from "../testing/reply-parser.ts";
import { requestMessage } from "../testing/requests.ts";
import { until, WorkerScene } from "../testing/worker-scene.ts";

describe("The end of an export in workers", () => {
  it("C15: comes with close() after its reads under way, which are answered", () =>
    WorkerScene.run(async (scene) => {
      const nbdExport = await scene.listen();
      using client = await scene.connect();
      scene.setPresent(2, false);
      const gate = Promise.withResolvers<void>();
      scene.device.beforeRead = () => gate.promise;
      const reading = client.read({ offset: 600_000, bytes: 4096 });
      await until(() => scene.device.underWay === 1);
      let closed = false;
      const closing = nbdExport.close().then(() => (closed = true));
      await settled();
      assert.equal(closed, false);
      gate.resolve();
      const [reply] = await reading;
      assert.ok(reply !== undefined && dataOf(reply).equals(scene.device.data.subarray(600_000, 604_096)));
      await closing;
      assert.equal(scene.device.underWay, 0);
      await client.hungUp();
    }));

  it("C15: comes with destroy() when the device has let go of its reads", () =>
    WorkerScene.run(async (scene) => {
      const nbdExport = await scene.listen();
      using client = await scene.connect();
      scene.setPresent(0, false);
      const stubborn = Promise.withResolvers<void>();
      const asked = Promise.withResolvers<AbortSignal>();
      scene.device.read = (_offset, _into, signal) => {
        asked.resolve(signal);
        return stubborn.promise;
      };
      client.read({ offset: 0, bytes: 4096 }).catch(() => {});
      const signal = await asked.promise;
      nbdExport.destroy(new Failure("cancelled", "the machine has ended"));
      await client.hungUp();
      assert.equal((signal.reason as Failure).message, "the machine has ended");
      let closed = false;
      const closing = nbdExport.close().then(() => (closed = true));
      await settled();
      assert.equal(closed, false);
      stubborn.resolve();
      await closing;
      assert.equal(nbdExport.connections, 0);
    }));

  it("aborts the read of a client that has gone", () =>
    WorkerScene.run(async (scene) => {
      await using nbdExport = await scene.listen();
      const client = await scene.connect();
      scene.setPresent(0, false);
      scene.device.beforeRead = () => new Promise(() => {});
      client.read({ offset: 0, bytes: 4096 }).catch(() => {});
      await until(() => scene.device.underWay === 1);
      client[Symbol.dispose]();
      await until(() => scene.device.underWay === 0 && nbdExport.connections === 0);
    }));
});

describe("The death of a worker", () => {
  it("is logged, ends its clients and their reads, and the next client is served by another", () => {
    const clock = new VirtualClock();
    return WorkerScene.run(async (scene) => {
      await using nbdExport = await scene.listen();
      for (const pauseMs of [0, 100, 200]) {
        using client = await scene.connect();
        scene.setPresent(0, false);
        scene.device.beforeRead = () => new Promise(() => {});
        client.read({ offset: 0, bytes: 4096 }).catch(() => {});
        await until(() => scene.device.underWay === 1);
        await scene.killWorker();
        await client.hungUp();
        await until(() => scene.device.underWay === 0);
        assert.equal(nbdExport.connections, 0);
        assert.deepEqual(scene.logger.warnings.at(-1)?.facts, { thread: 0, pauseMs });
        const next = scene.connect();
        await until(() => nbdExport.connections === 1);
        scene.setPresent(0, true);
        await clock.advance(pauseMs);
        using served = await next;
        const bytes = await served.readBytes(4096, 100_000);
        assert.ok(bytes.equals(scene.device.data.subarray(4096, 104_096)));
      }
      assert.equal(scene.started.length, 4);
    }, clock);
  });

  it("does not keep close() waiting", () =>
    WorkerScene.run(async (scene) => {
      const nbdExport = await scene.listen();
      using client = await scene.connect();
      scene.setPresent(0, false);
      scene.device.beforeRead = () => new Promise(() => {});
      client.read({ offset: 0, bytes: 4096 }).catch(() => {});
      await until(() => scene.device.underWay === 1);
      const closing = nbdExport.close();
      await scene.killWorker();
      await closing;
    }, new VirtualClock()));
});

describe("Random input to a worker", () => {
  it("ends its connection with one line, and nobody else's", () =>
    WorkerScene.run(async (scene) => {
      await using nbdExport = await scene.listen();
      using witness = await scene.connect();
      const random = new SeededRandom(3);
      for (let n = 0; n < 60; n++) {
        using client = await scene.connect();
        const noise = random.bytes(28 + random.below(300));
        const good = Array.from({ length: random.below(4) }, () =>
          requestMessage({
            command: command.read,
            offset: random.below(1 << 19),
            bytes: 1 + random.below(300_000),
          }),
        );
        client.socket.end(Buffer.concat([...good, noise]));
        await once(client.socket.resume(), "close");
      }
      await until(() => nbdExport.connections === 1 && scene.logger.warnings.length === 60);
      for (const { event, level } of scene.logger.warnings)
        assert.deepEqual([event, level], ["NBD client hung up on", "warn"]);
      assert.ok((await witness.readBytes(0, 4096)).equals(scene.device.data.subarray(0, 4096)));
      assert.equal(scene.started.length, 1, "no worker has died");
    }));
});
