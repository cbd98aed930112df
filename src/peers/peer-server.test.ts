import assert from "node:assert/strict";
import { connect } from "node:tls";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import { eventually } from "../base/testing/virtual-clock.ts";
import { PeerConnection } from "./peer-connection.ts";
import { clientKey } from "./peer-key.ts";
import { peerLimits } from "./peer-limits.ts";
import { testBuild, testSecret } from "./testing/numbered-image.ts";
import { never, TestNode } from "./testing/test-node.ts";

const chunkCount = 4;
const asks = TestNode.nameOf(1);
const isNotFound = (error: unknown) => Failure.is(error, "not_found");

/** A node that asks, and one that is asked and stands above or below it; afterwards nothing is left open. */
async function between(
  where: "above" | "below",
  test: (asker: TestNode, asked: TestNode) => Promise<void>,
): Promise<void> {
  const census = takeCensus();
  {
    await using asked = new TestNode([], chunkCount, TestNode.seedThatStands(where, asks));
    await using asker = new TestNode([await asked.serve()], chunkCount, 1);
    await test(asker, asked);
  }
  await assertNothingLeft(census);
}

describe("A peer", () => {
  it("C23: a peer answers have from its shelf, holding a lease while it streams", () =>
    between("below", async (asker, { shelf }) => {
      for (const chunk of [0, 1, 2, 3]) shelf.kept.add(chunk);
      const got: number[] = [];
      let claimed = 0;
      shelf.onRead = () => (claimed = Math.max(claimed, shelf.claims));
      await asker.read(0, 4, got);
      assert.deepEqual([got, claimed], [[0, 1, 2, 3], 1]);
      await eventually(() => shelf.claims === 0);
      assert.equal(shelf.claims, 0);
      assert.deepEqual(shelf.fetches, []);
    }));

  it("C23: a peer holds its lease until a flight that another waits for has landed", () =>
    between("above", async (asker, { shelf }) => {
      shelf.leased = true;
      const landed = Promise.withResolvers<void>();
      shelf.flight = () => landed.promise;
      const reading = asker.read(0, 2);
      await eventually(() => shelf.fetches.length > 0);
      assert.equal(shelf.claims, 1);
      landed.resolve();
      assert.deepEqual(await reading, [0, 1]);
      await eventually(() => shelf.claims === 0);
      assert.equal(shelf.claims, 0);
    }));

  it("C23: a peer starts no fetch for a build that it holds no lease on", () =>
    between("above", async (asker, { shelf }) => {
      shelf.kept.add(0);
      const got: number[] = [];
      await assert.rejects(asker.read(0, 2, got), isNotFound);
      assert.deepEqual([got, shelf.fetches], [[0], []]);
    }));

  it("C23: a peer that leases a build and is not the owner answers no", () =>
    between("below", async (asker, { shelf }) => {
      shelf.leased = true;
      shelf.kept.add(0);
      const got: number[] = [];
      await assert.rejects(asker.read(0, 2, got), isNotFound);
      assert.deepEqual([got, shelf.fetches], [[0], []]);
    }));

  it("C23: an owner lets others wait on its flight, bounded, and says meanwhile that it is under way", () =>
    between("above", async (asker, asked) => {
      const { shelf } = asked;
      shelf.leased = true;
      const reading = asker.read(0, 1).then(
        () => "read",
        (error: unknown) => Failure.from(error).code,
      );
      await eventually(() => shelf.fetches.length > 0);
      for (let ms = 0; ms <= peerLimits.waitMsMax; ms += peerLimits.underWayMs) {
        assert.equal(shelf.claims, 1, `after ${ms} ms`);
        // Both nodes' time goes on, and what was sent arrives before more of it does.
        await asked.clock.advance(peerLimits.underWayMs);
        await asker.clock.advance(peerLimits.underWayMs);
      }
      assert.equal(await reading, "not_found");
      assert.equal(asker.peers.inspect()[0]?.state, "closed", "waiting in vain is nobody's fault");
      await eventually(() => shelf.claims === 0);
      assert.equal(shelf.claims, 0);
    }));

  it("C23: anybody may wait for what is just being read from the bucket", () =>
    between("below", async (asker, { shelf, peers }) => {
      shelf.leased = true;
      const landed = Promise.withResolvers<void>();
      shelf.flight = async () => {
        await landed.promise;
        for (const chunk of [0, 1, 2, 3]) shelf.kept.add(chunk);
      };
      const bucket = peers.origin({
        name: "bucket",
        async *read() {
          await landed.promise;
          yield* [];
        },
      });
      const fetching = bucket.read({ build: testBuild, artifact: "rootfs", firstChunk: 0, count: 4 }, never);
      const fetched = fetching[Symbol.asyncIterator]().next();
      const reading = asker.read(0, 4);
      await eventually(() => shelf.fetches.length > 0);
      landed.resolve();
      assert.deepEqual(await reading, [0, 1, 2, 3]);
      await fetched;
    }));

  it("a reader who leaves gives the lease back at once", () =>
    between("above", async (asker, { shelf }) => {
      shelf.leased = true;
      const leaving = new AbortController();
      const reading = asker.read(0, 1, [], leaving.signal);
      await eventually(() => shelf.fetches.length > 0);
      leaving.abort(new Failure("cancelled", "the reader has left"));
      await assert.rejects(reading, (error) => Failure.is(error, "cancelled"));
      await eventually(() => shelf.claims === 0);
      assert.equal(shelf.claims, 0);
      assert.equal(asker.peers.inspect()[0]?.state, "closed");
    }));

  it("says nothing to whoever does not know the secret", async () => {
    await using asked = new TestNode([], chunkCount, 2);
    asked.shelf.kept.add(0);
    const address = await asked.serve();
    await using stranger = new TestNode([address], chunkCount, 1, "another secret of thirty-two characters!");
    await assert.rejects(stranger.read(0, 1), isNotFound);
    assert.equal(stranger.peers.inspect()[0]?.state, "open");
    const open = connect({ ...address, rejectUnauthorized: false });
    await assert.rejects(
      new Promise((resolve, reject) => open.once("secureConnect", resolve).once("error", reject)),
    );
    assert.equal(asked.shelf.claims, 0);
    assert.ok(asked.meter.get("larder_peer_refusals_total") >= 2);
  });

  it("refuses what is no question", async () => {
    await using asked = new TestNode([], chunkCount, 2);
    const address = await asked.serve();
    const socket = connect({ ...address, ...clientKey(testSecret) });
    socket.write("GET /v1/secrets HTTP/1.1\r\nhost: x\r\nlarder-node: a\r\nconnection: close\r\n\r\n");
    const answer = Buffer.concat(await socket.toArray()).toString();
    assert.match(answer, /^HTTP\/1\.1 400 /);
    using unnamed = new PeerConnection({ address, secret: testSecret, node: "NO NAME", requestsMax: 1 });
    await assert.rejects(unnamed.get({ kind: "build", build: testBuild }, never));
  });
});
