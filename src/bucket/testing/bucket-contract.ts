import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { type FailureCode, Failure } from "../../base/failure.ts";
import type { Bucket, ByteRange } from "../bucket.ts";

const never = new AbortController().signal;

/** What every bucket does. `open` gives a fresh, empty one. */
export function describeBucket(name: string, open: () => Promise<Bucket>): void {
  const withBucket = (test: (bucket: Bucket) => Promise<void>) => async () => {
    await using bucket = await open();
    await test(bucket);
  };

  describe(name, () => {
    it(
      "gives back what was put, whole and by range",
      withBucket(async (bucket) => {
        const bytes = Buffer.from(Array.from({ length: 700_000 }, (_, i) => i % 251));
        const info = await bucket.put("builds/a/rootfs.pack", bytes, {}, never);
        assert.equal(info.bytes, bytes.length);
        assert.deepEqual(await readAll(bucket, "builds/a/rootfs.pack"), bytes);
        const range = { offset: 300_001, length: 299_999 };
        const slice = await readAll(bucket, "builds/a/rootfs.pack", range);
        assert.deepEqual(slice, bytes.subarray(300_001, 600_000));
      }),
    );

    it(
      "uploads a file",
      withBucket(async (bucket) => {
        const directory = await mkdtemp(path.join(tmpdir(), "larder-put-"));
        try {
          const file = path.join(directory, "body");
          await writeFile(file, "contents");
          await bucket.put("blobs/x", { path: file, bytes: 8 }, {}, never);
          assert.equal((await readAll(bucket, "blobs/x")).toString(), "contents");
        } finally {
          await rm(directory, { recursive: true });
        }
      }),
    );

    it(
      "holds empty objects, and reads an empty range of any",
      withBucket(async (bucket) => {
        await bucket.put("empty", Buffer.alloc(0), {}, never);
        await bucket.put("full", Buffer.from("12345"), {}, never);
        assert.equal((await bucket.head("empty", never)).bytes, 0);
        assert.equal((await readAll(bucket, "empty")).length, 0);
        assert.equal((await readAll(bucket, "full", { offset: 5, length: 0 })).length, 0);
        await rejects(readAll(bucket, "full", { offset: 6, length: 0 }), "corrupt");
      }),
    );

    it(
      "takes no file that is shorter or longer than was said, or is not there",
      withBucket(async (bucket) => {
        const directory = await mkdtemp(path.join(tmpdir(), "larder-put-"));
        try {
          const file = path.join(directory, "body");
          await writeFile(file, "contents");
          for (const bytes of [0, 7, 9]) {
            await rejects(bucket.put("blobs/x", { path: file, bytes }, {}, never), "corrupt");
          }
          await assert.rejects(bucket.put("blobs/x", { path: `${file}.none`, bytes: 0 }, {}, never));
          await rejects(bucket.head("blobs/x", never), "not_found");
        } finally {
          await rm(directory, { recursive: true });
        }
      }),
    );

    it(
      "keeps what is there when a put must not replace it",
      withBucket(async (bucket) => {
        await bucket.put("key", Buffer.from("first"), {}, never);
        await rejects(bucket.put("key", Buffer.from("second"), { ifNoneMatch: "*" }, never), "conflict");
        assert.equal((await readAll(bucket, "key")).toString(), "first");
      }),
    );

    it(
      "gives each reader bytes of its own",
      withBucket(async (bucket) => {
        await bucket.put("key", Buffer.from("12345"), {}, never);
        for await (const piece of bucket.read("key", undefined, never)) piece.fill(0);
        assert.equal((await readAll(bucket, "key")).toString(), "12345");
      }),
    );

    it(
      "puts a new object once, whoever tries at the same time",
      withBucket(async (bucket) => {
        const tries = Array.from({ length: 8 }, (_, i) =>
          bucket.put("manifest", Buffer.from([i]), { ifNoneMatch: "*" }, never),
        );
        const outcomes = await Promise.allSettled(tries);
        assert.equal(outcomes.filter((outcome) => outcome.status === "fulfilled").length, 1);
        for (const outcome of outcomes) {
          if (outcome.status === "rejected") assert.ok(Failure.is(outcome.reason, "conflict"));
        }
      }),
    );

    it(
      "replaces an object whole, and its etag changes",
      withBucket(async (bucket) => {
        const first = await bucket.put("key", Buffer.from("a longer value"), {}, never);
        const second = await bucket.put("key", Buffer.from("short"), {}, never);
        assert.notEqual(first.etag, second.etag);
        assert.equal((await readAll(bucket, "key")).toString(), "short");
      }),
    );

    it(
      "says not_found, corrupt and invalid where they fit",
      withBucket(async (bucket) => {
        await bucket.put("key", Buffer.from("12345"), {}, never);
        await rejects(bucket.head("nothing", never), "not_found");
        await rejects(readAll(bucket, "nothing"), "not_found");
        await rejects(readAll(bucket, "key/below"), "not_found");
        await rejects(readAll(bucket, "key", { offset: 3, length: 5 }), "corrupt");
        for (const key of [
          "",
          "../x",
          "a/../b",
          "/a",
          "a//b",
          "a b",
          "a/",
          "x".repeat(300),
          "a/".repeat(600) + "b",
          "é",
          "a\0b",
          ".",
          "a/.",
        ]) {
          await rejects(bucket.put(key, Buffer.of(1), {}, never), "invalid");
          await rejects(readAll(bucket, key), "invalid");
          await rejects(bucket.head(key, never), "invalid");
          await rejects(bucket.delete(key, never), "invalid");
        }
      }),
    );

    it(
      "deletes, silently what is not there",
      withBucket(async (bucket) => {
        await bucket.put("a/b", Buffer.of(1), {}, never);
        await bucket.delete("a/b", never);
        await bucket.delete("a/b", never);
        await rejects(bucket.head("a/b", never), "not_found");
      }),
    );

    it(
      "lists in the order of the keys' bytes, page by page, only what has the prefix",
      withBucket(async (bucket) => {
        const keys = [
          "b/1",
          "b/2",
          "b/10/x",
          "b/10.x",
          "b/10-",
          "b.x",
          "b-",
          "a",
          "c/d/e",
          "b/3",
          "b/10/0/y",
        ];
        for (const key of keys) await bucket.put(key, Buffer.of(1), {}, never);
        for (const prefix of ["", "b", "b/", "b/1", "b/10", "b/10/", "c/d/e", "c/d/e/f", "d"]) {
          const expected = keys.filter((key) => key.startsWith(prefix)).sort();
          for (const limit of [1, 2, 3, expected.length || 1, 1000]) {
            assert.deepEqual(await listAll(bucket, prefix, limit), expected, `${prefix} by ${limit}`);
          }
        }
        const { objects, next } = await bucket.list("b/", { after: "b/10/", limit: 2 }, never);
        assert.deepEqual([objects.map(({ key }) => key), next], [["b/10/0/y", "b/10/x"], "b/10/x"]);
      }),
    );

    it(
      "says in a list when each object was put",
      withBucket(async (bucket) => {
        await bucket.put("key", Buffer.of(1), {}, never);
        const [first] = (await bucket.list("key", {}, never)).objects;
        // A store tells whole seconds, by its own clock.
        const ageMs = systemClock.now() - (first?.modifiedAt ?? 0);
        assert.ok(ageMs > -5_000 && ageMs < 60_000, `put ${ageMs} ms ago`);
      }),
    );

    it(
      "does nothing for a caller who has left",
      withBucket(async (bucket) => {
        const left = AbortSignal.abort();
        await assert.rejects(bucket.put("key", Buffer.of(1), {}, left));
        await rejects(bucket.head("key", never), "not_found");
        await assert.rejects(bucket.list("", {}, left), { name: "AbortError" });
        await bucket.put("key", Buffer.alloc(2 ** 20), {}, never);
        await assert.rejects(bucket.head("key", left), { name: "AbortError" });
        await assert.rejects(bucket.delete("key", left), { name: "AbortError" });
        const leaving = new AbortController();
        const reading = async () => {
          for await (const _ of bucket.read("key", undefined, leaving.signal)) leaving.abort();
        };
        await assert.rejects(reading(), { name: "AbortError" });
        assert.equal((await bucket.head("key", never)).bytes, 2 ** 20);
      }),
    );
  });
}

async function listAll(bucket: Bucket, prefix: string, limit: number): Promise<string[]> {
  const listed: string[] = [];
  let page = await bucket.list(prefix, { limit }, never);
  for (;;) {
    assert.ok(page.objects.length <= limit);
    listed.push(...page.objects.map((object) => object.key));
    if (page.next === undefined) return listed;
    assert.equal(page.next, listed.at(-1));
    page = await bucket.list(prefix, { limit, after: page.next }, never);
  }
}

async function readAll(bucket: Bucket, key: string, range?: ByteRange): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of bucket.read(key, range, never)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

async function rejects(promise: Promise<unknown>, code: FailureCode): Promise<void> {
  await assert.rejects(promise, (error) => Failure.is(error, code));
}
