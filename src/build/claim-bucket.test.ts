import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure, type FailureCode } from "../base/failure.ts";
import { MemoryBucket } from "../bucket/memory-bucket.ts";
import { claimBucket } from "./claim-bucket.ts";
import { storeKey } from "./object-keys.ts";

const never = new AbortController().signal;

describe("claimBucket", () => {
  it("makes a bucket its store's, once and for good", async () => {
    await using bucket = new MemoryBucket();
    await claimBucket(bucket, "store-1", never);
    const { etag } = await bucket.head(storeKey, never);
    await claimBucket(bucket, "store-1", never);
    assert.equal((await bucket.head(storeKey, never)).etag, etag, "it is not written again");
    await assert.rejects(
      claimBucket(bucket, "store-2", never),
      (error) => Failure.is(error, "conflict") && error.message.includes("store-1"),
    );
  });

  it("gives a bucket to one of two stores that claim it together", async () => {
    await using bucket = new MemoryBucket();
    const claims = ["one", "two"].map((store) => claimBucket(bucket, store, never));
    const outcomes = (await Promise.allSettled(claims)).map(({ status }) => status);
    assert.deepEqual(outcomes.sort(), ["fulfilled", "rejected"]);
  });

  it("refuses a bucket that does not say whose it is, or of a newer version", async () => {
    const bodies: [string, FailureCode][] = [
      ["", "corrupt"],
      ["{}", "corrupt"],
      ["null", "corrupt"],
      [JSON.stringify({ formatVersion: 1, store: "s" }).slice(0, -1), "corrupt"],
      [JSON.stringify({ formatVersion: 1, store: "s", rest: "x".repeat(5000) }), "corrupt"],
      [JSON.stringify({ formatVersion: 2, store: "s" }), "invalid"],
    ];
    for (const [body, code] of bodies) {
      await using bucket = new MemoryBucket();
      await bucket.put(storeKey, Buffer.from(body), {}, never);
      await assert.rejects(claimBucket(bucket, "s", never), (error) => Failure.is(error, code), body);
    }
  });
});
