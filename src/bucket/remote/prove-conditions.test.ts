import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock as clock } from "../../base/clock.ts";
import { Failure } from "../../base/failure.ts";
import { silentMeter as meter } from "../../base/meter.ts";
import { systemRandom as random } from "../../base/random.ts";
import { FakeObjectStore } from "../testing/fake-object-store.ts";
import { openFakeBucket } from "../testing/open-fake-bucket.ts";

const never = new AbortController().signal;

describe("A put that must be new", () => {
  for (const speaks of ["s3", "gs"] as const) {
    it(`is refused by a server that ignores conditions, before anything is overwritten (${speaks})`, async () => {
      await using store = await FakeObjectStore.start({
        ...{ speaks, bucket: "templates", credential: "TESTKEY", ignoresConditions: true },
      });
      await using bucket = openFakeBucket({ speaks, url: store.url, clock, random, meter });
      const put = () => bucket.put("larder.json", Buffer.from("ours"), { ifNoneMatch: "*" }, never);
      await assert.rejects(
        put(),
        (error) => Failure.is(error, "invalid") && /does not honour/.test(error.message),
      );
      assert.ok(!store.objects.has("larder.json"));
      await bucket.put("larder.json", Buffer.from("theirs"), {}, never);
      await assert.rejects(put(), (error) => Failure.is(error, "conflict"));
      assert.equal(store.objects.get("larder.json")?.bytes.toString(), "theirs");
    });
  }

  it("proves once that conditions are honoured, and leaves no trace of that", async () => {
    await using store = await FakeObjectStore.start({
      ...{ speaks: "s3", bucket: "templates", credential: "TESTKEY" },
    });
    await using bucket = openFakeBucket({ speaks: "s3", url: store.url, prefix: "a", clock, random, meter });
    await bucket.put("one", Buffer.of(1), { ifNoneMatch: "*" }, never);
    assert.deepEqual([...store.objects.keys()], ["a/one"]);
    const before = store.asked.length;
    await bucket.put("two", Buffer.of(2), { ifNoneMatch: "*" }, never);
    assert.deepEqual(store.asked.slice(before), ["PUT /templates/a/two"]);
  });
});
