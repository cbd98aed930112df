import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { eventually } from "../base/testing/virtual-clock.ts";
import { chunkBytes } from "../build/artifact.ts";
import type { ObjectSource } from "../build/object-source.ts";
import { encodeFrameHead } from "./frames.ts";
import { PeerConnection } from "./peer-connection.ts";
import { peerLimits } from "./peer-limits.ts";
import { rankForInput } from "./rendezvous.ts";
import { testBuild, testSecret } from "./testing/numbered-image.ts";
import { RoguePeer, type RogueOptions, sendChunk } from "./testing/rogue-peer.ts";
import { never, TestNode } from "./testing/test-node.ts";

/** An input of a little more than four chunks. */
const bytes = Buffer.from(new SeededRandom(3).bytes(4 * chunkBytes + 100));
const digest = hash("sha256", bytes);
const input = { kind: "blob", digest, bytes: bytes.length, build: testBuild } as const;
const pieces = [0, 1, 2, 3, 4].map((piece) => bytes.subarray(piece * chunkBytes, (piece + 1) * chunkBytes));

/** A bucket that has the input, and counts how often it was asked for it. */
function bucketOf(until: Promise<void> = Promise.resolve()) {
  const bucket = { reads: 0 };
  const source: ObjectSource = {
    name: "bucket",
    async *read() {
      bucket.reads += 1;
      await until;
      yield bytes;
    },
  };
  return { bucket, source };
}

async function readAll(node: TestNode, source: ObjectSource): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(node.peers.objects(source).read(input, never)));
}

/** The same node again and again until one stands so in the order of the input. */
function seedThatStands(where: "above" | "below", node: string): number {
  for (let seed = 2; ; seed++) {
    const isAbove = rankForInput(TestNode.nameOf(seed), digest) > rankForInput(node, digest);
    if (isAbove === (where === "above")) return seed;
  }
}

/** A node that asks, and one that is asked and stands above or below it; afterwards nothing is left open. */
async function between(
  where: "above" | "below",
  test: (asker: TestNode, asked: TestNode) => Promise<void>,
): Promise<void> {
  const census = takeCensus();
  {
    await using asked = new TestNode([], 4, seedThatStands(where, TestNode.nameOf()));
    await using asker = new TestNode([await asked.serve()], 4);
    await test(asker, asked);
  }
  await assertNothingLeft(census);
}

async function beside(
  rogue: Omit<RogueOptions, "node" | "onChunks">,
  test: (node: TestNode, rogue: RoguePeer) => Promise<void>,
): Promise<void> {
  const census = takeCensus();
  {
    const own = TestNode.nameOf();
    const node = Array.from({ length: 100 }, (_, i) => `rogue${i}`).find(
      (each) => rankForInput(each, digest) > rankForInput(own, digest),
    );
    const said = { node: node ?? assert.fail(), inputs: [digest], onChunks: () => assert.fail() };
    await using peer = await RoguePeer.listen({ ...said, ...rogue });
    await using asker = new TestNode([peer.address], 4);
    await test(asker, peer);
  }
  await assertNothingLeft(census);
}

const isUnavailable = (error: unknown) => Failure.is(error, "unavailable");

describe("An input of a build", () => {
  it("C23: comes from a peer that has it, whole, while that holds a lease; the bucket is not asked", () =>
    between("below", async (asker, { shelf }) => {
      shelf.inputs.set(digest, bytes);
      const { bucket, source } = bucketOf();
      assert.ok((await readAll(asker, source)).equals(bytes));
      assert.equal(bucket.reads, 0);
      await eventually(() => shelf.claims === 0);
    }));

  it("C25: is waited for at its owner, who fetches it for all", () =>
    between("above", async (asker, { clock, shelf }) => {
      shelf.leased = true;
      const landed = Promise.withResolvers<void>();
      let flights = 0;
      shelf.inputFlight = async () => {
        flights += 1;
        await landed.promise;
        shelf.inputs.set(digest, bytes);
      };
      const { bucket, source } = bucketOf();
      const reading = readAll(asker, source);
      await eventually(() => flights === 1);
      for (let ms = 0; ms < peerLimits.waitMsMax * 2; ms += peerLimits.underWayMs)
        await clock.advance(peerLimits.underWayMs);
      landed.resolve();
      assert.ok((await reading).equals(bytes));
      assert.equal(bucket.reads, 0);
    }));

  it("C23: is not fetched for others by a node that stands below them, or does not lease the build", async () => {
    for (const [seed, leased] of [
      [seedThatStands("below", TestNode.nameOf()), true],
      [seedThatStands("above", TestNode.nameOf()), false],
    ] as const) {
      await using asked = new TestNode([], 4, seed);
      asked.shelf.leased = leased;
      asked.shelf.kept.add(0);
      asked.shelf.inputFlight = () => assert.fail("it fetches");
      const address = await asked.serve();
      const asker = { address, secret: testSecret, node: TestNode.nameOf(), requestsMax: 1 };
      using connection = new PeerConnection(asker);
      const answer = await connection.get({ kind: "input", build: testBuild, digest }, never);
      assert.ok(Buffer.concat(await answer.toArray()).equals(encodeFrameHead("no")));
      // Who may not wait does not ask.
      await using node = new TestNode([address], 4);
      const { bucket, source } = bucketOf();
      assert.ok((await readAll(node, source)).equals(bytes));
      assert.equal(bucket.reads, 1);
    }
  });

  it("C25: is waited for where it is being read from the bucket just now, whoever the owner is", () =>
    between("below", async (asker, asked) => {
      const { shelf } = asked;
      shelf.leased = true;
      const landed = Promise.withResolvers<void>();
      const theirs = bucketOf(landed.promise);
      const first = readAll(asked, theirs.source);
      await eventually(() => theirs.bucket.reads === 1);
      shelf.inputFlight = async () => void shelf.inputs.set(digest, await first);
      const { bucket, source } = bucketOf();
      const second = readAll(asker, source);
      await eventually(() => asker.meter.sum("larder_peer_questions_total") > 0);
      landed.resolve();
      assert.ok((await second).equals(bytes));
      assert.equal(bucket.reads, 0);
    }));

  const lies: Record<string, RogueOptions["onInput"]> = {
    "other bytes": (to) => {
      for (const [index, piece] of pieces.entries()) sendChunk(to, index, Buffer.alloc(piece.length, 7));
      to.end();
    },
    "pieces in another order": (to) => {
      for (const [index, piece] of pieces.entries()) sendChunk(to, 4 - index, piece);
      to.end();
    },
    "short pieces": (to) => {
      for (const [index, piece] of pieces.entries()) sendChunk(to, index, piece.subarray(1));
      to.end();
    },
  };
  for (const [what, onInput] of Object.entries(lies)) {
    it(`C24: of which a peer gives ${what} is never complete, and comes from elsewhere the next time`, () =>
      beside({ ...(onInput === undefined ? {} : { onInput }) }, async (own, rogue) => {
        const { bucket, source } = bucketOf();
        const first = await readAll(own, source).catch((error: unknown) => {
          assert.ok(isUnavailable(error));
        });
        assert.ok(first === undefined || first.equals(bytes));
        assert.ok((await readAll(own, source)).equals(bytes));
        assert.deepEqual([rogue.asked.input, own.peers.inspect()[0]?.state], [1, "open"]);
        assert.equal(own.meter.get("larder_corrupt_chunks_total", { source: "peer" }), 1);
        assert.equal(bucket.reads, first === undefined ? 1 : 2);
      }));
  }

  it("C24: that a peer has begun and does not end costs one bounded delay", () =>
    beside({ onInput: (to) => sendChunk(to, 0, pieces[0] ?? bytes) }, async (own) => {
      const { source } = bucketOf();
      let got = 0;
      const read = async () => {
        for await (const piece of own.peers.objects(source).read(input, never)) got += piece.length;
      };
      const reading = assert.rejects(read(), isUnavailable);
      await eventually(() => got > 0);
      await own.clock.advance(peerLimits.silenceMsMax);
      await reading;
      assert.ok((await readAll(own, source)).equals(bytes));
    }));
});
