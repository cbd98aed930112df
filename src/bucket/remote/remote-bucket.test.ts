import { systemClock as clock } from "../../base/clock.ts";
import { silentMeter as meter } from "../../base/meter.ts";
import { SeededRandom } from "../../base/testing/seeded-random.ts";
import { describeBucket } from "../testing/bucket-contract.ts";
import { FakeObjectStore } from "../testing/fake-object-store.ts";
import { openFakeBucket } from "../testing/open-fake-bucket.ts";

for (const speaks of ["s3", "gs"] as const) {
  describeBucket(`RemoteBucket (${speaks})`, async () => {
    const store = await FakeObjectStore.start({ speaks, bucket: "templates", credential: "TESTKEY" });
    const random = new SeededRandom(1);
    const bucket = openFakeBucket({ speaks, url: store.url, clock, random, meter });
    const close = bucket.close.bind(bucket);
    bucket[Symbol.asyncDispose] = async () => {
      await close();
      await store[Symbol.asyncDispose]();
    };
    return bucket;
  });
}
