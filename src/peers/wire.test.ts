import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Failure } from "../base/failure.ts";
import { chunkBytes } from "../build/artifact.ts";
import { FrameReader } from "../build/frame-reader.ts";
import { encodeFrameHead, readFrame } from "./frames.ts";
import { GroupSet, groupSetTextMax } from "./group-set.ts";
import { decodeStanding, encodeStanding, pathOf, questionOf } from "./question.ts";
import { testBuild as build } from "./testing/numbered-image.ts";

async function* pieces(...all: Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* all;
}

describe("A frame", () => {
  it("says what it is, in whatever pieces it comes", async () => {
    const bytes = Buffer.from("chunk");
    const all = Buffer.concat([
      encodeFrameHead("under way"),
      encodeFrameHead("have", 7, 5),
      bytes,
      encodeFrameHead("no"),
    ]);
    const reader = new FrameReader(pieces(...Array.from(all, (byte) => Uint8Array.of(byte))), "a peer");
    assert.deepEqual(await readFrame(reader), { kind: "under way" });
    const have = await readFrame(reader);
    assert.ok(have.kind === "have" && have.index === 7 && bytes.equals(have.bytes));
    assert.deepEqual(await readFrame(reader), { kind: "no" });
  });

  it("that is none, or larger than a chunk, is corrupt", async () => {
    for (const head of [
      encodeFrameHead("have", 0, chunkBytes + 1),
      encodeFrameHead("no", 0, 1),
      Buffer.alloc(12, 9),
      Buffer.alloc(3),
    ]) {
      await assert.rejects(
        readFrame(new FrameReader(pieces(head), "a peer")),
        (error) => Failure.is(error, "corrupt"),
        head.toString("hex"),
      );
    }
  });
});

describe("A question", () => {
  it("is what its path says", () => {
    const chunks = { kind: "chunks", build, artifact: "memfile", firstChunk: 33, count: 15 } as const;
    assert.equal(pathOf(chunks), `/v1/builds/${build}/memfile/chunks/33+15`);
    assert.deepEqual(questionOf(pathOf(chunks)), chunks);
    assert.deepEqual(questionOf(`/v1/builds/${build}`), { kind: "build", build });
  });

  it("is refused when it asks for anything else", () => {
    for (const path of [
      "/",
      "/v2/builds/x",
      "/v1/builds/x",
      `/v1/builds/${build}/snapfile/chunks/0+1`,
      `/v1/builds/${build}/rootfs/chunks/0+0`,
      `/v1/builds/${build}/rootfs/chunks/0+17`,
      `/v1/builds/${build}/rootfs/chunks/15+2`,
      `/v1/builds/${build}/rootfs/chunks/-1+2`,
      `/v1/builds/${build}/rootfs/../../x`,
      `/v1/builds/${build}/inputs/${"g".repeat(64)}`,
      `/v1/builds/${build}/inputs/${"a".repeat(63)}`,
      `/v1/builds/${build}/inputs/${"a".repeat(64)}/x`,
    ]) {
      assert.throws(
        () => questionOf(path),
        (error) => Failure.is(error, "invalid"),
        path,
      );
    }
  });
});

describe("An answer about a build", () => {
  it("holds which groups are there", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(2000)), fc.boolean(), (groups, leases) => {
        const inputs = groups.slice(0, 3).map((group) => group.toString(16).padStart(64, "0"));
        const none = GroupSet.of([]);
        const has = { rootfs: GroupSet.of(groups), memfile: none, firstpages: none };
        const told = decodeStanding(encodeStanding({ node: "n", leases, has, inputs }));
        assert.equal(told.leases, leases);
        assert.deepEqual(told.inputs, inputs);
        for (let group = 0; group <= 2001; group++)
          assert.equal(told.has.rootfs.has(group), groups.includes(group));
      }),
      { numRuns: 20 },
    );
  });

  it("that is none, or too large, is corrupt", () => {
    const large = "A".repeat(groupSetTextMax + 1);
    for (const text of [
      "",
      "{}",
      JSON.stringify({ node: "n", leases: true, has: { rootfs: large, memfile: "" } }),
    ]) {
      assert.throws(
        () => decodeStanding(Buffer.from(text)),
        (error) => Failure.is(error, "corrupt"),
      );
    }
  });
});
