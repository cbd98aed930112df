import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { MemoryBucket } from "../bucket/memory-bucket.ts";
import { readOrderKey } from "./object-keys.ts";
import { ReadOrders } from "./read-orders.ts";
import { randomBuildId } from "./testing/random-build-id.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";

const never = new AbortController().signal;

describe("ReadOrders", () => {
  const build = randomBuildId(new SeededRandom(1));

  it("give back what was kept first, and nothing where nothing is", async () => {
    const orders = new ReadOrders(new MemoryBucket());
    assert.equal(await orders.find(build, never), undefined);
    const order = { memfile: [5, 3, 900], rootfs: [0] };
    await orders.keep(build, order, never);
    await orders.keep(build, { memfile: [1], rootfs: [] }, never);
    const { memfile, rootfs } = (await orders.find(build, never)) ?? assert.fail("it was kept");
    assert.deepEqual({ memfile, rootfs }, order);
  });

  it("pass over what is no order, too long, or of a later version", async () => {
    const bad = [
      "{",
      '{"formatVersion":2,"rootfs":[],"memfile":[]}',
      '{"formatVersion":1,"rootfs":[-1],"memfile":[]}',
      '{"formatVersion":1,"rootfs":[],"memfile":["1"]}',
      `{"formatVersion":1,"rootfs":[${"1,".repeat(20_000)}1],"memfile":[]}`,
      " ".repeat(600_000),
    ];
    for (const text of bad) {
      const bucket = new MemoryBucket();
      await bucket.put(readOrderKey(build), Buffer.from(text), {}, never);
      assert.equal(await new ReadOrders(bucket).find(build, never), undefined);
    }
  });

  it("tell of a bucket that is away, so that nobody takes that for a missing order", async () => {
    const away = async function* () {
      yield* [];
      throw new Failure("unavailable", "away");
    };
    const orders = new ReadOrders(Object.assign(new MemoryBucket(), { read: away }));
    await assert.rejects(orders.find(build, never), (error) => Failure.is(error, "unavailable"));
  });
});
