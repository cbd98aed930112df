import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { chunkBytes } from "./artifact.ts";
import { artifactsOf, encodeManifest, type Manifest, parseManifest } from "./manifest.ts";
import { seal } from "./sealed-json.ts";
import { randomBuildId } from "./testing/random-build-id.ts";

describe("a manifest", () => {
  const random = new SeededRandom(4);
  const build = randomBuildId(random);
  const entry = { bytes: 7, digest: "ab".repeat(32) };
  const image = { bytes: chunkBytes, storageBytes: chunkBytes, packBytes: 9, index: entry };
  const manifest: Manifest = {
    formatVersion: 2,
    build,
    createdAt: "2026-11-25T08:00:00.000Z",
    ancestors: [{ build: randomBuildId(random), artifact: "rootfs", index: entry }],
    rootfs: image,
    agentDisk: { offset: 4096, bytes: chunkBytes - 4096 },
    memfile: image,
    firstpages: image,
    snapfile: entry,
    metafile: entry,
    shape: {
      vmm: "qemu",
      vmmVersion: "8.2.2",
      machineType: "pc-q35-8.2",
      accelerator: "tcg",
      cpuModel: "max",
      vcpus: 1,
      memoryBytes: 2 ** 29,
      tscKhz: 2_400_000,
    },
    inputs: [{ name: "agent-disk", ...entry }],
  };
  const bytes = encodeManifest(manifest);

  it("reads as it was written", () => {
    assert.deepEqual(parseManifest(bytes, build), manifest);
    assert.deepEqual(artifactsOf(manifest), ["rootfs", "memfile", "firstpages", "snapfile", "metafile"]);
    assert.deepEqual(encodeManifest(parseManifest(bytes, build)), bytes);
  });

  it("is refused with a sentence when it is cut off anywhere, or goes on", () => {
    for (let at = 0; at < bytes.length; at++)
      assert.throws(() => parseManifest(bytes.subarray(0, at), build), corrupt, `cut at ${at}`);
    assert.throws(() => parseManifest(Buffer.concat([bytes, Buffer.from("\n")]), build), corrupt);
  });

  it("is refused with a sentence when a bit of any byte is flipped", () => {
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      assert.throws(() => parseManifest(flipped, build), corrupt, `flipped at ${at}`);
    }
  });

  it("is refused with a sentence when it says what it must not, although its seal fits", () => {
    const wrong: unknown[] = [
      null,
      [],
      { ...manifest, build: randomBuildId(random) },
      { ...manifest, build: "../../etc" },
      { ...manifest, formatVersion: 0 },
      { ...manifest, unknown: 1 },
      { ...manifest, metafile: undefined },
      { ...manifest, metafile: { ...entry, digest: "AB".repeat(32) } },
      { ...manifest, snapfile: { ...entry, bytes: 2 ** 40 } },
      { ...manifest, rootfs: { ...image, bytes: 4097 } },
      { ...manifest, rootfs: { ...image, storageBytes: -4096 } },
      { ...manifest, rootfs: { ...image, packBytes: chunkBytes + 1 } },
      { ...manifest, rootfs: { ...image, bytes: 2 ** 41 } },
      { ...manifest, rootfs: { ...image, index: { ...entry, bytes: 2 ** 30 } } },
      { ...manifest, agentDisk: { offset: 4096, bytes: chunkBytes } },
      { ...manifest, agentDisk: { offset: 4095, bytes: chunkBytes - 4095 } },
      { ...manifest, rootfs: undefined },
      { ...manifest, inputs: [{ ...entry, name: "firmware" }] },
      { ...manifest, inputs: [...manifest.inputs, ...manifest.inputs] },
      { ...manifest, ancestors: [...manifest.ancestors, ...manifest.ancestors] },
      { ...manifest, shape: { ...manifest.shape, vcpus: 0.5 } },
    ];
    for (const value of wrong) {
      const text = JSON.stringify(value);
      assert.throws(() => parseManifest(seal(value as object), build), corrupt, text);
    }
  });

  it("of a newer version is refused by its number", () => {
    assert.throws(
      () => parseManifest(seal({ formatVersion: 3, anything: true }), build),
      (error) => Failure.is(error, "invalid") && error.message.includes("version 3"),
    );
  });

  it("that breaks its own rules is not written", () => {
    assert.throws(() => encodeManifest({ ...manifest, createdAt: "yesterday" }));
  });
});

function corrupt(error: unknown): boolean {
  return Failure.is(error, "corrupt") && error.message.startsWith("the manifest of build ");
}
