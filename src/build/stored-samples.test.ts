import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryBucket } from "../bucket/memory-bucket.ts";
import { chunkBytes } from "./artifact.ts";
import { ArtifactIndex } from "./artifact-index.ts";
import { bucketChunks } from "./bucket-chunks.ts";
import { IndexBook } from "./index-book.ts";
import { encodeManifest, parseManifest, rootDiskBytes } from "./manifest.ts";
import { packKey } from "./object-keys.ts";
import { MemoryMeter } from "../base/testing/memory-meter.ts";
import { encodeNeeds, parseNeeds } from "./node-needs.ts";
import { seal } from "./sealed-json.ts";
import { encodeCard, parseCard } from "./template-card.ts";
import { registerSampleV1 } from "./testing/register-sample-v1.ts";
import { sampleV1 } from "./testing/sample-v1.ts";
import { sampleV2 } from "./testing/sample-v2.ts";
import { verified } from "./verified.ts";

const never = new AbortController().signal;
const { build, parent, filling } = sampleV1;
const expected = { build, artifact: "rootfs" } as const;

describe("a stored sample of version 1", () => {
  it("is read: the manifest, and written as it was", () => {
    const bytes = Buffer.from(sampleV1.manifest);
    const manifest = parseManifest(bytes, build);
    assert.equal(manifest.ancestors[0]?.build, parent);
    assert.equal(manifest.shape?.vmmVersion, "8.2.2");
    assert.equal(manifest.inputs[0]?.name, "agent-disk");
    assert.ok(encodeManifest(manifest).equals(bytes));
  });

  it("is read: the index, and written as it was", () => {
    const bytes = Buffer.from(sampleV1.index, "hex");
    const image = parseManifest(Buffer.from(sampleV1.manifest), build).rootfs;
    assert.ok(image !== undefined);
    const index = ArtifactIndex.decode(bytes, { ...expected, image });
    assert.deepEqual(index.layout.runs, [
      { offset: 0, length: 4096, build: parent, storageOffset: 12288 },
      { offset: 4096, length: chunkBytes, build, storageOffset: 0 },
      { offset: 4096 + chunkBytes, length: chunkBytes - 4096, build: null, storageOffset: 0 },
      { offset: 2 * chunkBytes, length: 8192, build, storageOffset: chunkBytes },
    ]);
    assert.ok(index.encode().equals(bytes));
  });

  it("is read: a template's card and a node's needs, written as they were, and refused when a bit is flipped", () => {
    const { card, needs, node, build: led } = registerSampleV1;
    const { formatVersion: _version, node: by, ...named } = parseCard(Buffer.from(card), "card");
    assert.deepEqual([by, named.template.name, named.builds[0]?.id], [node, "base", led]);
    assert.equal(String(encodeCard(named, node)), card);
    const needed = parseNeeds(Buffer.from(needs), "needs");
    assert.deepEqual(needed.builds, [led]);
    assert.equal(String(encodeNeeds(needed)), needs);
    const flipped = (text: string) => Buffer.from(text.replace("0b5e", "0b5f"));
    assert.throws(() => parseCard(flipped(card), "card"), { code: "corrupt" });
    assert.throws(() => parseNeeds(flipped(needs), "needs"), { code: "corrupt" });
    const newer = seal({ formatVersion: 2, builds: "elsewhere" });
    assert.throws(() => parseCard(newer, "card"), { code: "invalid" });
    assert.throws(() => parseNeeds(newer, "needs"), { code: "invalid" });
  });

  it("is read: the pack", async () => {
    const bucket = new MemoryBucket();
    const book = new IndexBook();
    book.set(ArtifactIndex.decode(Buffer.from(sampleV1.index, "hex"), expected));
    await bucket.put(packKey(build, "rootfs"), Buffer.from(sampleV1.pack, "hex"), {}, never);
    const source = verified(bucketChunks(bucket, book), book, new MemoryMeter());
    const request = { ...expected, firstChunk: 0, count: 2 };
    const [zeros, text] = await Array.fromAsync(source.read(request, never));
    assert.ok(zeros !== undefined && Buffer.alloc(chunkBytes).equals(zeros.bytes));
    assert.ok(text !== undefined && Buffer.alloc(8192, filling).equals(text.bytes));
  });
});

describe("a stored sample of version 2", () => {
  it("is read: a manifest with first pages and two disks on one device, and written as it was", () => {
    const bytes = Buffer.from(sampleV2.manifest);
    const manifest = parseManifest(bytes, sampleV2.build);
    assert.equal(manifest.firstpages?.packBytes, 120);
    assert.equal(manifest.agentDisk?.bytes, 168 * 2 ** 20);
    assert.equal(rootDiskBytes(manifest), 2 ** 30);
    assert.ok(encodeManifest(manifest).equals(bytes));
  });
});
