import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import { MemoryBucket } from "../bucket/memory-bucket.ts";
import { freshMsMax, graceMsMin } from "./grace.ts";
import { blobKey } from "./object-keys.ts";
import { putBlob } from "./put-blob.ts";
import { listed } from "./put-once.ts";

const never = new AbortController().signal;

describe("an input that is put", () => {
  it("C26: is put again when it is so old that a collection may be about to remove it, and else not", async () => {
    assert.ok(2 * freshMsMax < graceMsMin);
    await using place = await scene();
    const { bucket, clock, file } = place;
    const put = async () => {
      const { digest } = await putBlob(bucket, file, { clock }, never);
      return (await listed(bucket, blobKey(digest), never))?.modifiedAt;
    };
    const first = clock.now();
    assert.equal(await put(), first);
    await clock.advance(freshMsMax - 1);
    assert.equal(await put(), first, "it is young: a collection leaves it as long as the publish takes");
    await clock.advance(1);
    assert.equal(await put(), clock.now());
  });

  it("is put again when what is there has another length; one whose name goes on is another one", async () => {
    await using place = await scene();
    const { bucket, clock, file } = place;
    const { digest } = await putBlob(bucket, file, { clock }, never);
    await bucket.put(blobKey(digest), Buffer.of(1), {}, never);
    await putBlob(bucket, file, { clock }, never);
    assert.equal((await bucket.head(blobKey(digest), never)).bytes, 5);
    await bucket.put("a.b", Buffer.of(1), {}, never);
    assert.equal(await listed(bucket, "a", never), undefined);
  });
});

async function scene() {
  const directory = await mkdtemp(path.join(tmpdir(), "larder-put-"));
  const clock = new VirtualClock();
  const file = path.join(directory, "file");
  await writeFile(file, "input");
  return {
    ...{ bucket: new MemoryBucket(clock), clock, file },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}
