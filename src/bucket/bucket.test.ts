import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Bucket } from "./bucket.ts";
import { DirectoryBucket } from "./directory-bucket.ts";
import { MemoryBucket } from "./memory-bucket.ts";
import { describeBucket } from "./testing/bucket-contract.ts";

describeBucket("MemoryBucket", async () => new MemoryBucket());

describeBucket("DirectoryBucket", async () => {
  const directory = await mkdtemp(path.join(tmpdir(), "larder-bucket-"));
  const bucket: Bucket = new DirectoryBucket(directory);
  const close = bucket.close.bind(bucket);
  bucket[Symbol.asyncDispose] = async () => {
    await close();
    await rm(directory, { recursive: true });
  };
  return bucket;
});
