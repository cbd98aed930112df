import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { systemClock as clock } from "../../base/clock.ts";
import { Failure } from "../../base/failure.ts";
import { MemoryMeter } from "../../base/testing/memory-meter.ts";
import { systemRandom as random } from "../../base/random.ts";
import { FakeObjectStore } from "../testing/fake-object-store.ts";
import { FaultProxy } from "../testing/fault-proxy.ts";
import { openFakeBucket } from "../testing/open-fake-bucket.ts";
import { usualRetries } from "./retries.ts";

const never = new AbortController().signal;
const partBytes = 40_000;
const content = randomBytes(9 * partBytes + 123);
const parts = 10;

/** A store, and one bucket after the other at it, as of one process after the other. */
async function scene(speaks: "s3" | "gs") {
  const stack = new AsyncDisposableStack();
  const directory = await mkdtemp(path.join(tmpdir(), "larder-resumed-"));
  stack.defer(() => rm(directory, { recursive: true }));
  const credential = speaks === "s3" ? "TESTKEY" : "TESTKEY";
  const store = stack.use(await FakeObjectStore.start({ speaks, bucket: "templates", credential }));
  const proxy = stack.use(await FaultProxy.start(store.url));
  const file = path.join(directory, "pack");
  await writeFile(file, content);
  const noteAt = `${file}.upload`;
  const put = async (signal: AbortSignal, leaving = never, key = "pack") => {
    const retries = { ...usualRetries, delayMs: 1, delayMsMax: 2 };
    const options = { speaks, url: proxy.url, clock, random, meter: new MemoryMeter() };
    await using bucket = openFakeBucket({ ...options, changed: { partBytes, retries } });
    const body = { path: file, bytes: content.length, resume: { noteAt, leaving } };
    return await bucket.put(key, body, {}, signal);
  };
  /** Puts until so many parts are there; then the process goes. */
  const begin = async (count: number) => {
    const leaving = new AbortController();
    proxy.plan = ({ url }) => {
      const [upload] = store.uploads.values();
      if (url.includes("partNumber=") && (upload?.parts.size ?? 0) >= count)
        leaving.abort(new Failure("cancelled", "the daemon is stopping"));
      return undefined;
    };
    const isCancelled = (error: unknown) => Failure.is(error, "cancelled");
    await assert.rejects(put(leaving.signal, leaving.signal), isCancelled);
    proxy.plan = () => undefined;
    store.asked.length = 0;
    const [upload] = store.uploads.values();
    return upload ?? assert.fail("its parts stay");
  };
  const partsPut = () => store.asked.filter((each) => /^PUT .*partNumber=/.test(each)).length;
  const assertPut = () => {
    assert.ok(store.objects.get("pack")?.bytes.equals(content));
    assert.deepEqual([store.uploads.size, existsSync(noteAt)], [0, false]);
  };
  const dispose = () => stack.disposeAsync();
  return { assertPut, begin, file, noteAt, partsPut, proxy, put, store, [Symbol.asyncDispose]: dispose };
}

for (const speaks of ["s3", "gs"] as const) {
  describe(`An upload in parts that broke off (${speaks})`, () => {
    it("C27: goes on behind the parts that were put", async () => {
      await using held = await scene(speaks);
      const { size } = (await held.begin(6)).parts;
      assert.ok(size >= 6);
      await held.put(never);
      held.assertPut();
      assert.equal(held.partsPut(), parts - size);
    });

    it("C27: puts again what is not the same any more", async () => {
      await using held = await scene(speaks);
      const upload = await held.begin(6);
      const { size } = upload.parts;
      upload.parts.set(2, randomBytes(partBytes));
      upload.parts.set(3, randomBytes(100));
      await held.put(never);
      held.assertPut();
      assert.equal(held.partsPut(), parts - size + 2);
    });

    it("begins anew when the store has nothing of it, or says nothing of it", async () => {
      await using held = await scene(speaks);
      await held.begin(4);
      held.store.uploads.clear();
      await held.put(never);
      held.assertPut();
      await held.begin(4);
      held.proxy.plan = ({ method, url }) =>
        method === "GET" && url.includes("uploadId=") ? { kind: "answer", status: 403, body: "" } : undefined;
      await held.put(never);
      held.assertPut();
    });

    it("begins anew where the note makes no sense or is of another key", async () => {
      await using held = await scene(speaks);
      await held.begin(4);
      await writeFile(held.noteAt, "{");
      await held.put(never);
      assert.ok(held.store.objects.get("pack")?.bytes.equals(content));
      held.store.uploads.clear();
      await held.begin(4);
      await held.put(never, never, "another");
      assert.ok(held.store.objects.get("another")?.bytes.equals(content));
    });

    it("stays noted when it could not be given up, and goes on when the store is back", async () => {
      await using held = await scene(speaks);
      const away = { kind: "answer", status: 503, body: "" } as const;
      let begun = false;
      held.proxy.plan = ({ url }) => {
        begun ||= url.includes("partNumber=5");
        return begun ? away : undefined;
      };
      await assert.rejects(held.put(never), (error) => Failure.is(error, "unavailable"));
      const [upload] = held.store.uploads.values();
      const had = upload?.parts.size ?? 0;
      assert.ok(had > 0 && existsSync(held.noteAt));
      held.proxy.plan = () => undefined;
      held.store.asked.length = 0;
      await held.put(never);
      held.assertPut();
      assert.equal(held.partsPut(), parts - had);
    });
  });
}
