import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock as clock } from "../../base/clock.ts";
import { Failure } from "../../base/failure.ts";
import { silentMeter as meter } from "../../base/meter.ts";
import { FakeObjectStore } from "../testing/fake-object-store.ts";
import { FaultProxy } from "../testing/fault-proxy.ts";
import { openFakeBucket } from "../testing/open-fake-bucket.ts";

const never = new AbortController().signal;
const random = { fraction: () => 0, bytes: (count: number) => Buffer.alloc(count) };

describe("A list of objects", () => {
  it("leaves out what could be no key of ours, and what lies beside the prefix", async () => {
    await using held = await scene();
    const strange = { bytes: Buffer.of(1), etag: '"x"', mark: undefined, modifiedAt: 0 };
    for (const key of ["p/", "p/a b", "p/a&b", "p/c/", "p/<&amp;>", "p/é", "pp/x", "p"])
      held.store.objects.set(key, strange);
    for (const key of ["a", "b", "z"]) await held.bucket.put(key, Buffer.of(1), {}, never);
    for (const limit of [1, 2, 3, 1000]) {
      const keys: string[] = [];
      let after: string | undefined = "";
      while (after !== undefined) {
        const page = await held.bucket.list("", { limit, after }, never);
        keys.push(...page.objects.map(({ key }) => key));
        after = page.next;
      }
      assert.deepEqual(keys, ["a", "b", "z"], `by ${limit}`);
    }
  });

  it("is never a page that merely looks like an answer", async () => {
    await using held = await scene();
    await held.bucket.put("a", Buffer.of(1), {}, never);
    const bodies = [
      "<html>welcome</html>",
      "",
      "<ListBucketResult><IsTruncated>false</IsTruncated>",
      "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
      "<ListBucketResult><Contents><Key>p/a</Key></Contents></ListBucketResult>",
      "<ListBucketResult><Contents><Key>p/a</Key><Size>1</Size></Contents></ListBucketResult>",
      "<Error><Code>SlowDown</Code></Error>",
    ];
    for (const body of bodies) {
      let left = 1;
      held.proxy.plan = () => (left-- > 0 ? { kind: "answer", status: 200, body } : undefined);
      assert.equal((await held.bucket.list("", {}, never)).objects.length, 1, body);
      held.proxy.plan = () => ({ kind: "answer", status: 200, body });
      await assert.rejects(held.bucket.list("", {}, never), (error) => Failure.is(error, "unavailable"));
    }
  });
});

async function scene() {
  const store = await FakeObjectStore.start({ speaks: "s3", bucket: "templates", credential: "TESTKEY" });
  const proxy = await FaultProxy.start(store.url);
  const bucket = openFakeBucket({ speaks: "s3", url: proxy.url, prefix: "p", clock, random, meter });
  return {
    ...{ bucket, proxy, store },
    [Symbol.asyncDispose]: async () => {
      await bucket.close();
      await proxy[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}
