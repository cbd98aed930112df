import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { blockBytes, chunkBytes } from "./artifact.ts";
import { packImage } from "./pack-image.ts";
import { randomBuildId } from "./testing/random-build-id.ts";
import { randomImage } from "./testing/random-image.ts";

const never = new AbortController().signal;
const build = randomBuildId(new SeededRandom(1));

describe("packImage", () => {
  it("stores each chunk that is not zeros once, in order, as small as it gets", async () => {
    await using held = await scene();
    const image = randomImage(new SeededRandom(2), 12);
    const options = await held.options(image);
    const index = await packImage(options, never);
    const pack = await readFile(options.pack);
    assert.equal(pack.length, index.packBytes);
    for (let i = 0; i < index.chunkCount; i++) {
      const place = index.chunk(i);
      const bytes = image.subarray(i * chunkBytes, (i + 1) * chunkBytes);
      assert.equal(place.bytes, bytes.length);
      assert.equal(
        place.zero,
        bytes.every((byte) => byte === 0),
      );
      if (place.zero) continue;
      assert.deepEqual(place.digest, createHash("sha256").update(bytes).digest());
      if (place.codec === "raw")
        assert.ok(pack.subarray(place.packOffset).subarray(0, bytes.length).equals(bytes));
      else assert.ok(place.packedBytes < bytes.length * 0.95);
    }
    const { digest } = await held.pack(image);
    assert.equal(
      digest,
      createHash("sha256").update(pack).digest("hex"),
      "the same image packs to the same bytes",
    );
  });

  it("packs a device of 10 GiB that is nearly all hole without reading the hole", async () => {
    await using held = await scene();
    const options = await held.options(Buffer.alloc(0));
    await using image = await open(options.image, "r+");
    await image.truncate(10 * 2 ** 30);
    await image.write(Buffer.from("start"), 0, 5, 0);
    await image.write(Buffer.from("middle"), 0, 6, 5 * 2 ** 30 - 3);
    await image.write(Buffer.from("end"), 0, 3, 10 * 2 ** 30 - 3);
    const fractions: number[] = [];
    const index = await packImage({ ...options, onProgress: (fraction) => fractions.push(fraction) }, never);
    const stored = Array.from({ length: index.chunkCount }, (_, i) => i).filter((i) => !index.chunk(i).zero);
    assert.deepEqual(stored, [0, 20_479, 20_480, 40_959]);
    assert.equal(index.deviceBytes, 10 * 2 ** 30);
    assert.equal(index.layout.runs.length, 5);
    assert.ok(index.encode().length < 100_000);
    assert.deepEqual([fractions.at(0), fractions.at(-1)], [0, 1]);
    assert.ok((await stat(options.image)).blocks < 10_000, "the file system knows holes");
  });

  it("refuses an image that is no whole number of blocks, and one that is not what a child says", async () => {
    await using held = await scene();
    const invalid = (error: unknown) => Failure.is(error, "invalid");
    await assert.rejects(packImage(await held.options(Buffer.alloc(blockBytes + 1)), never), invalid);
    const child = { runs: [], storageBytes: 2 * blockBytes, deviceBytes: 0 };
    const options = { ...(await held.options(Buffer.alloc(blockBytes))), child };
    await assert.rejects(packImage(options, never), invalid);
  });

  it("packs a device of no bytes", async () => {
    await using held = await scene();
    const index = await packImage(await held.options(Buffer.alloc(0)), never);
    assert.deepEqual([index.deviceBytes, index.chunkCount, index.packBytes], [0, 0, 0]);
  });

  it("ends with the failure, and holds nothing open, when the disk is full", async () => {
    await using held = await scene();
    const options = { ...(await held.options(randomImage(new SeededRandom(3), 40))), pack: "/dev/full" };
    const before = takeCensus();
    await assert.rejects(packImage(options, never), (error) => Failure.is(error, "exhausted"));
    await assertNothingLeft(before);
  });

  it("ends within a chunk when its caller leaves, and holds nothing open", async () => {
    await using held = await scene();
    const options = await held.options(randomImage(new SeededRandom(4), 100));
    const before = takeCensus();
    const leaving = new AbortController();
    const onProgress = () => leaving.abort(new Failure("cancelled", "gone"));
    const packed = packImage({ ...options, onProgress }, leaving.signal);
    await assert.rejects(packed, (error) => Failure.is(error, "cancelled"));
    await assertNothingLeft(before);
  });
});

async function scene() {
  const directory = await mkdtemp(path.join(tmpdir(), "larder-pack-"));
  let packs = 0;
  const options = async (bytes: Buffer) => {
    const image = path.join(directory, `image-${packs}`);
    await writeFile(image, bytes);
    return { build, artifact: "rootfs" as const, image, pack: path.join(directory, `pack-${packs++}`) };
  };
  const pack = async (bytes: Buffer) => {
    const own = await options(bytes);
    const index = await packImage(own, never);
    const digest = createHash("sha256")
      .update(await readFile(own.pack))
      .digest("hex");
    return { index, digest };
  };
  return { options, pack, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}
