import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock as clock } from "../../base/clock.ts";
import { Failure, type FailureCode } from "../../base/failure.ts";
import { MemoryMeter } from "../../base/testing/memory-meter.ts";
import { usualRetries } from "./retries.ts";
import { FakeObjectStore } from "../testing/fake-object-store.ts";
import { FaultProxy, type HttpFault } from "../testing/fault-proxy.ts";
import { openFakeBucket } from "../testing/open-fake-bucket.ts";

const never = new AbortController().signal;
const size = 300_000;
const body = Buffer.from(Array.from({ length: size }, (_, i) => i % 241));
const range = { offset: 1_000, length: 200_000 };

/** What no reader may ever take for the bytes of an object, and what becomes of it when it does not pass. */
const faults: Readonly<Record<string, { fault: HttpFault; code: FailureCode }>> = {
  "a reset before the request": {
    fault: { kind: "reset", afterBytes: 0, forwarded: false },
    code: "unavailable",
  },
  "a reset in the middle": { fault: { kind: "reset", afterBytes: 7_000 }, code: "unavailable" },
  "a stall in the middle": { fault: { kind: "stall", afterBytes: 7_000 }, code: "unavailable" },
  "no answer": { fault: { kind: "silent" }, code: "unavailable" },
  "a body that breaks off": { fault: { kind: "short", bytes: 1, saysSo: false }, code: "unavailable" },
  "a body that says it is shorter": { fault: { kind: "short", bytes: 1, saysSo: true }, code: "unavailable" },
  "a body that says it is longer": { fault: { kind: "long", bytes: 1 }, code: "unavailable" },
  "other bytes than asked for": {
    fault: { kind: "headers", headers: { "content-range": `bytes 999-200998/${size}` } },
    code: "unavailable",
  },
  "bytes that do not say which": {
    fault: { kind: "headers", headers: { "content-range": undefined } },
    code: "unavailable",
  },
  "a page with status 200": {
    fault: { kind: "answer", status: 200, body: "x".repeat(range.length) },
    code: "unavailable",
  },
  "a page with status 206": {
    fault: { kind: "answer", status: 206, body: "x".repeat(range.length) },
    code: "unavailable",
  },
  "status 500": { fault: { kind: "answer", status: 500, body: "oops" }, code: "unavailable" },
  "status 503": { fault: { kind: "answer", status: 503, body: "" }, code: "unavailable" },
  "status 429": { fault: { kind: "answer", status: 429, body: "" }, code: "unavailable" },
  "status 403": { fault: { kind: "answer", status: 403, body: "" }, code: "denied" },
};

describe("A read through a network that misbehaves", () => {
  for (const [name, { code, fault }] of Object.entries(faults)) {
    it(`survives ${name} if it passes, else says ${code}`, async () => {
      await using held = await scene();
      await held.bucket.put("key", body, {}, never);
      held.faulty(fault, code === "unavailable" ? 1 : 0);
      assert.ok((await held.read(range)).equals(body.subarray(1_000, 201_000)), "it passed");
      held.faulty(fault, Infinity);
      await assert.rejects(held.read(range), (error) => Failure.is(error, code));
      held.faulty(fault, 0);
      assert.ok((await held.read(undefined)).equals(body), "it is over");
    });
  }

  it("goes on where it broke off, and never mixes two objects", async () => {
    await using held = await scene();
    await held.bucket.put("key", body, {}, never);
    const pieces: Buffer[] = [];
    held.faulty({ kind: "reset", afterBytes: 150_000 }, 1);
    for await (const piece of held.bucket.read("key", undefined, never)) pieces.push(Buffer.from(piece));
    assert.ok(Buffer.concat(pieces).equals(body));
    // A reset could take back what had arrived; a stall leaves it to be read.
    held.faulty({ kind: "stall", afterBytes: 150_000 }, 1);
    const reading = async () => {
      for await (const _ of held.bucket.read("key", undefined, never))
        if (held.store.objects.get("key")?.bytes.length === size)
          await held.quiet.put("key", Buffer.alloc(size + 1, 7), {}, never);
    };
    await assert.rejects(reading(), (error) => Failure.is(error, "corrupt"));
  });

  it("takes its time with slow bytes", async () => {
    await using held = await scene();
    await held.bucket.put("key", body, {}, never);
    held.faulty({ kind: "slow", pieceBytes: 1_000 }, Infinity);
    assert.ok((await held.read(undefined)).equals(body));
    assert.equal(held.meter.sum("larder_bucket_retries_total"), 0);
  });
});

describe("A put through a network that misbehaves", () => {
  it("knows its own object again when the answer got lost, and nobody else's", async () => {
    await using held = await scene();
    await held.bucket.put("other", Buffer.of(1), { ifNoneMatch: "*" }, never); // conditions are proven by now
    held.faulty({ kind: "lost" }, 1, "PUT");
    const { etag } = await held.bucket.put("mine", Buffer.of(2), { ifNoneMatch: "*" }, never);
    assert.equal(etag, (await held.bucket.head("mine", never)).etag);
    held.faulty({ kind: "answer", status: 503, body: "" }, 1, "PUT");
    const again = held.bucket.put("mine", Buffer.of(2), { ifNoneMatch: "*" }, never);
    await assert.rejects(again, (error) => Failure.is(error, "conflict"));
  });

  it("puts a large object in parts, whatever passes meanwhile", async () => {
    await using held = await scene({ partBytes: 40_000 });
    const passing: HttpFault[] = [
      { kind: "reset", afterBytes: 0, forwarded: false },
      { kind: "lost" },
      { kind: "answer", status: 503, body: "" },
      { kind: "answer", status: 200, body: "<html>welcome</html>" },
      { kind: "answer", status: 200, body: "<Error><Code>InternalError</Code></Error>" },
    ];
    for (const [i, fault] of passing.entries()) {
      for (const method of ["POST", "PUT"]) {
        const key = `${i}/${method}`;
        held.faulty(fault, 1, method, method === "POST" ? /uploadId/ : /./);
        assert.equal((await held.bucket.put(key, body, {}, never)).bytes, size);
        assert.ok((await held.read(undefined, key)).equals(body), key);
        assert.equal(held.store.uploads.size, 0);
      }
    }
  });

  it("gives up an upload in parts that failed, or whose caller left", async () => {
    await using held = await scene({ partBytes: 40_000 });
    for (const status of [503, 403]) {
      held.faulty({ kind: "answer", status, body: "" }, Infinity, "PUT", /partNumber=3/);
      await assert.rejects(held.bucket.put("key", body, {}, never));
      assert.deepEqual([held.store.uploads.size, held.store.objects.size], [0, 0]);
    }
    const leaving = new AbortController();
    held.proxy.plan = ({ url }) => {
      if (url.includes("partNumber=4")) leaving.abort(new Failure("cancelled", "gone"));
      return undefined;
    };
    const put = held.bucket.put("key", body, {}, leaving.signal);
    await assert.rejects(put, (error) => Failure.is(error, "cancelled"));
    assert.deepEqual([held.store.uploads.size, held.store.objects.size], [0, 0]);
  });

  it("keeps what is there from an upload in parts that must not replace it", async () => {
    await using held = await scene({ partBytes: 40_000 });
    await held.bucket.put("key", body, { ifNoneMatch: "*" }, never);
    const again = held.bucket.put("key", Buffer.alloc(size), { ifNoneMatch: "*" }, never);
    await assert.rejects(again, (error) => Failure.is(error, "conflict"));
    assert.ok((await held.read(undefined)).equals(body));
  });
});

async function scene(changed: { partBytes?: number } = {}) {
  const store = await FakeObjectStore.start({ speaks: "s3", bucket: "templates", credential: "TESTKEY" });
  const proxy = await FaultProxy.start(store.url);
  const meter = new MemoryMeter();
  // Waits of retries are part of 100 ms at most; here they are none.
  const random = { fraction: () => 0, bytes: (count: number) => Buffer.alloc(count) };
  const quick = {
    ...{ http: { connectMsMax: 2_000, stallMsMax: 150 }, answerMsMax: { read: 150, write: 2_000 } },
    retries: { ...usualRetries, attemptsMax: 2 },
  };
  const common = { speaks: "s3", clock, random, meter } as const;
  const bucket = openFakeBucket({ ...common, url: proxy.url, changed: { ...quick, ...changed } });
  const quiet = openFakeBucket({ ...common, url: store.url });
  return {
    ...{ bucket, meter, proxy, quiet, store },
    /** The next `times` requests of this method suffer it. */
    faulty: (fault: HttpFault, times: number, only = "GET", target = /./) => {
      let left = times;
      proxy.plan = ({ method, url }) =>
        method === only && target.test(url) && left-- > 0 ? fault : undefined;
    },
    read: async (range: { offset: number; length: number } | undefined, key = "key") =>
      Buffer.concat(await Array.fromAsync(bucket.read(key, range, never), (piece) => Buffer.from(piece))),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([bucket.close(), quiet.close()]);
      await proxy[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}
