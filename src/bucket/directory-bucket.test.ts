import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { Failure, type FailureCode } from "../base/failure.ts";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import type { PutOptions } from "./bucket.ts";
import { DirectoryBucket } from "./directory-bucket.ts";
import { describeBucket } from "./testing/bucket-contract.ts";

const never = new AbortController().signal;

describeBucket("DirectoryBucket", async () => {
  const { bucket, dispose } = await scene();
  const close = bucket.close.bind(bucket);
  bucket[Symbol.asyncDispose] = async () => {
    await close();
    await dispose();
  };
  return bucket;
});

describe("DirectoryBucket", () => {
  it("keeps objects to the owner, leaves no temporary file, and nothing open", async () => {
    const before = takeCensus();
    await using held = await scene();
    const { bucket, root } = held;
    await bucket.put("a/b/c", Buffer.from("1"), {}, never);
    await bucket.put("a/b/c", Buffer.from("2"), { ifNoneMatch: "*" }, never).catch(() => {});
    await Array.fromAsync(bucket.read("a/b/c", undefined, never));
    assert.equal((await stat(path.join(root, "a/b/c"))).mode & 0o777, 0o600);
    assert.equal((await stat(path.join(root, "a"))).mode & 0o777, 0o700);
    const uploads = await readdir(path.join(root, ".uploads"), { recursive: true, withFileTypes: true });
    assert.deepEqual(
      uploads.filter((entry) => entry.isFile()).map(({ name }) => name),
      ["lock"],
    );
    await bucket.close();
    await bucket.close();
    const names = (await readdir(root, { recursive: true })).sort();
    assert.deepEqual(names, ["a", "a/b", "a/b/c"]);
    await assertNothingLeft(before);
  });

  it("removes what an upload of a killed process left, and only that", async () => {
    await using held = await scene();
    const { bucket, root } = held;
    const script = `
      import { DirectoryBucket } from ${JSON.stringify(path.join(import.meta.dirname, "directory-bucket.ts"))};
      import { UploadSpace } from ${JSON.stringify(path.join(import.meta.dirname, "upload-space.ts"))};
      import { writeFileSync } from "node:fs";
      const space = new UploadSpace(${JSON.stringify(path.join(root, ".uploads"))});
      writeFileSync(await space.newPath(), "half of it");
      process.kill(process.pid, "SIGKILL");`;
    const child = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
    assert.equal(child.signal, "SIGKILL", String(child.stderr));
    const left = await readdir(path.join(root, ".uploads"));
    assert.equal(left.length, 1);
    await using other = new DirectoryBucket(root);
    await other.put("first", Buffer.of(1), {}, never);
    const others = await readdir(path.join(root, ".uploads"));
    assert.ok(others.length === 1 && others[0] !== left[0]);
    await bucket.put("second", Buffer.of(2), {}, never);
    assert.equal((await readdir(path.join(root, ".uploads"))).length, 2, "the other one is alive");
    await other.put("third", Buffer.of(3), {}, never);
    assert.deepEqual(await keys(bucket), ["first", "second", "third"]);
  });

  it("reads no folder, no pipe and no link as an object, and does not stall at them", async () => {
    await using held = await scene();
    const { bucket, root } = held;
    await bucket.put("a/b", Buffer.of(1), {}, never);
    execFileSync("mkfifo", [path.join(root, "pipe")]);
    await symlink("/etc/hostname", path.join(root, "link"));
    for (const key of ["a", "pipe", "link"]) {
      await rejects(bucket.head(key, never), "not_found");
      await rejects(Array.fromAsync(bucket.read(key, undefined, never)), "not_found");
    }
    await bucket.delete("a", never);
    assert.deepEqual(await keys(bucket), ["a/b"]);
  });

  it("lists no file that could not be an object, and no upload", async () => {
    await using held = await scene();
    const { bucket, root } = held;
    await bucket.put("good", Buffer.of(1), {}, never);
    await writeFile(path.join(root, "a name with spaces"), "");
    await mkdir(path.join(root, "a folder"));
    await writeFile(path.join(root, "a folder", "x"), "");
    await writeFile(path.join(root, ".uploads", "stray"), "");
    assert.deepEqual(await keys(bucket), ["good"]);
    await rejects(bucket.head(".uploads/stray", never), "invalid");
    await rejects(bucket.put(".uploads", Buffer.of(1), {}, never), "invalid");
  });

  it("is empty while its directory does not exist, and makes it with the first object", async () => {
    await using held = await scene();
    const root = path.join(held.root, "not/yet");
    await using bucket = new DirectoryBucket(root);
    assert.deepEqual(await keys(bucket), []);
    await rejects(bucket.head("x", never), "not_found");
    await bucket.put("x", Buffer.of(1), {}, never);
    assert.deepEqual(await keys(bucket), ["x"]);
  });

  it("refuses a key below an object, and one where a folder is", async () => {
    await using held = await scene();
    const { bucket } = held;
    await bucket.put("a/b", Buffer.of(1), {}, never);
    for (const key of ["a/b/c", "a/b/c/d", "a"])
      await rejects(bucket.put(key, Buffer.of(1), {}, never), "invalid");
    assert.deepEqual(await keys(bucket), ["a/b"]);
  });

  it("takes empty folders away, without losing an object that is put at the same moment", async () => {
    await using held = await scene();
    const { bucket, root } = held;
    const churn = async (key: string, options: PutOptions) => {
      for (let round = 0; round < 25; round++) {
        await bucket.put(key, Buffer.of(round), options, never);
        assert.equal((await bucket.head(key, never)).bytes, 1);
        await bucket.delete(key, never);
      }
    };
    const once = { ifNoneMatch: "*" } as const;
    await Promise.all([churn("a/b/1", {}), churn("a/b/2", once), churn("a/b/3", {}), churn("a/c", once)]);
    assert.deepEqual(await readdir(root), [".uploads"]);
  });

  it("publishes nothing for a caller who leaves while a file is copied", async () => {
    await using held = await scene();
    const { bucket, root } = held;
    const file = path.join(root, "big file"); // no key
    await writeFile(file, Buffer.alloc(8 * 2 ** 20));
    const leaving = new AbortController();
    const put = bucket.put("x", { path: file, bytes: 8 * 2 ** 20 }, {}, leaving.signal);
    leaving.abort(new Failure("cancelled", "gone"));
    await rejects(put, "cancelled");
    assert.deepEqual(await keys(bucket), []);
  });
});

async function keys(bucket: DirectoryBucket): Promise<string[]> {
  return (await bucket.list("", {}, never)).objects.map(({ key }) => key);
}

async function rejects(promise: Promise<unknown>, code: FailureCode): Promise<void> {
  await assert.rejects(promise, (error) => Failure.is(error, code));
}

async function scene() {
  const root = await mkdtemp(path.join(tmpdir(), "larder-bucket-"));
  const bucket = new DirectoryBucket(root);
  const dispose = async () => {
    await bucket.close();
    await rm(root, { recursive: true });
  };
  return { root, bucket, dispose, [Symbol.asyncDispose]: dispose };
}
