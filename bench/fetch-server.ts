// The server of bench/fetch.ts: answers a message with its address, and serves until it is ended.
import { FakeObjectStore } from "../src/bucket/testing/fake-object-store.ts";

const store = await FakeObjectStore.start({ speaks: "s3", bucket: "templates", credential: "TESTKEY" });
store.objects.set("pack", {
  bytes: Buffer.alloc(Number(process.argv[2]), "pack"),
  etag: '"pack"',
  mark: undefined,
  modifiedAt: 0,
});
process.on("message", () => process.send?.(store.url));
