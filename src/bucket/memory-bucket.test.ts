import { MemoryBucket } from "./memory-bucket.ts";
import { describeBucket } from "./testing/bucket-contract.ts";

describeBucket("MemoryBucket", async () => new MemoryBucket());
