import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import { eventually } from "../base/testing/virtual-clock.ts";
import { encodeFrameHead } from "./frames.ts";
import { peerLimits } from "./peer-limits.ts";
import { GroupSet } from "./group-set.ts";
import { encodeStanding } from "./question.ts";
import { groupChunks } from "./rendezvous.ts";
import { PeerConnection } from "./peer-connection.ts";
import { numberedChunk, testBuild, testSecret } from "./testing/numbered-image.ts";
import { nameThatStands, type RogueOptions, RoguePeer, sendChunk } from "./testing/rogue-peer.ts";
import { never, TestNode } from "./testing/test-node.ts";

const groups = 3;
const chunkCount = groups * groupChunks;
const isNotFound = (error: unknown) => Failure.is(error, "not_found");
const node = nameThatStands("above", TestNode.nameOf(), groups);

/** This node beside one peer that does as the test says; afterwards nothing is left open. */
async function beside(
  rogue: Omit<RogueOptions, "node">,
  test: (node: TestNode, rogue: RoguePeer) => Promise<void>,
): Promise<void> {
  const census = takeCensus();
  {
    await using peer = await RoguePeer.listen({ node, ...rogue });
    await using own = new TestNode([peer.address], chunkCount);
    await test(own, peer);
  }
  await assertNothingLeft(census);
}

const giveOne: RogueOptions["onChunks"] = (first, response) => {
  sendChunk(response, first, numberedChunk(first));
  response.end();
};

function stateOf(own: TestNode): string | undefined {
  return own.peers.inspect()[0]?.state;
}

describe("peerSource", () => {
  it("gives what the owner has, over a connection that is kept", () => {
    const sockets = new Set<unknown>();
    const onChunks: RogueOptions["onChunks"] = (first, response) => {
      sockets.add(response.socket);
      for (let chunk = first; chunk < first + groupChunks; chunk++)
        sendChunk(response, chunk, numberedChunk(chunk));
      response.end();
    };
    return beside({ onChunks }, async (own) => {
      const all = Array.from({ length: chunkCount }, (_, i) => i);
      assert.deepEqual(await own.read(0, chunkCount), all);
      assert.ok(sockets.size < groups, `${sockets.size} connections`);
    });
  });

  const lies: Record<string, (first: number) => readonly [number, Uint8Array]> = {
    "other bytes": (first) => [first, numberedChunk(first + 1)],
    "another chunk": (first) => [first + 1, numberedChunk(first + 1)],
    "a short chunk": (first) => [first, numberedChunk(first).subarray(1)],
  };
  for (const [what, lie] of Object.entries(lies)) {
    it(`C24: a peer that gives ${what} is asked once, and the read goes on`, () => {
      const onChunks: RogueOptions["onChunks"] = (first, response) => {
        sendChunk(response, ...lie(first));
        response.end();
      };
      return beside({ onChunks }, async (own, rogue) => {
        const got: number[] = [];
        for (let i = 0; i < 3; i++) await assert.rejects(own.read(i * groupChunks, 2, got), isNotFound);
        assert.deepEqual([got, rogue.asked.chunks], [[], 1]);
        assert.equal(stateOf(own), "open");
      });
    });
  }

  it("C24: a peer that stalls costs one bounded delay, not one for each chunk", () => {
    const onChunks: RogueOptions["onChunks"] = (first, response) =>
      sendChunk(response, first, numberedChunk(first));
    return beside({ onChunks }, async (own, rogue) => {
      const got: number[] = [];
      const reads = [0, 1, 2].map((group) =>
        assert.rejects(own.read(group * groupChunks, 2, got), isNotFound),
      );
      await eventually(() => got.length === 3);
      await own.clock.advance(peerLimits.silenceMsMax);
      await Promise.all(reads);
      await assert.rejects(own.read(5, 2), isNotFound);
      assert.equal(rogue.asked.chunks, 3);
    });
  });

  it("C24: a peer that gives nothing but promises is left after a bound", () => {
    let say = () => {};
    const onChunks: RogueOptions["onChunks"] = (_first, response) => {
      say = () => void response.write(encodeFrameHead("under way"));
      say();
    };
    return beside({ onChunks }, async (own, rogue) => {
      let ended = false;
      const read = assert.rejects(own.read(0, 1), isNotFound).then(() => (ended = true));
      await eventually(() => rogue.asked.chunks === 1);
      for (let ms = 0; ms < peerLimits.requestMsMax; ms += 500) {
        assert.equal(ended, false, `after ${ms} ms`);
        say();
        await own.clock.advance(500);
      }
      await read;
      assert.equal(stateOf(own), "open");
    });
  });

  it("C24: a peer that dies in the middle of a chunk is not asked again, and what it gave is kept", () => {
    const onChunks: RogueOptions["onChunks"] = (first, response) => {
      sendChunk(response, first, numberedChunk(first));
      response.write(encodeFrameHead("have", first + 1, 1000));
      response.write(Buffer.alloc(10), () => response.destroy());
    };
    return beside({ onChunks }, async (own, rogue) => {
      const got: number[] = [];
      await assert.rejects(own.read(0, 3, got), isNotFound);
      await assert.rejects(own.read(groupChunks, 1), isNotFound);
      assert.deepEqual([got, rogue.asked.chunks, stateOf(own)], [[0], 1, "open"]);
    });
  });

  it("C24: a peer that does not even say what it has delays the first read alone", () =>
    beside({ onBuild: () => {}, onChunks: () => {} }, async (own, rogue) => {
      const first = assert.rejects(own.read(0, 1), isNotFound);
      await eventually(() => rogue.asked.build === 1);
      await own.clock.advance(peerLimits.silenceMsMax);
      await first;
      for (let chunk = 1; chunk < 5; chunk++) await assert.rejects(own.read(chunk, 1), isNotFound);
      assert.deepEqual([rogue.asked, stateOf(own)], [{ build: 1, chunks: 0, input: 0 }, "open"]);
    }));

  it("C24: no read waits for a peer that may be back", () => {
    let isBack = false;
    const onChunks: RogueOptions["onChunks"] = (first, response) => {
      if (!isBack) return void response.writeHead(200).write(Buffer.alloc(1), () => response.destroy());
      sendChunk(response, first, numberedChunk(first));
      response.end();
    };
    return beside({ onChunks }, async (own, rogue) => {
      await assert.rejects(own.read(0, 1), isNotFound);
      isBack = true;
      await own.clock.advance(peerLimits.openMs);
      await assert.rejects(own.read(0, 1), isNotFound, "the probe is not waited for");
      await eventually(() => stateOf(own) === "closed");
      assert.deepEqual(await own.read(0, 1), [0]);
      assert.deepEqual(rogue.asked, { build: 2, chunks: 2, input: 0 });
    });
  });

  it("C24: where one peer fails, the next one in the order goes on", async () => {
    const onChunks: RogueOptions["onChunks"] = (first, response) => {
      sendChunk(response, first, numberedChunk(first));
      response.destroy();
    };
    const honest: RogueOptions["onChunks"] = (first, response) => {
      for (let chunk = first; chunk < 3; chunk++) sendChunk(response, chunk, numberedChunk(chunk));
      response.end();
    };
    const below = nameThatStands("below", TestNode.nameOf(), groups);
    await using dying = await RoguePeer.listen({ node, onChunks });
    await using keeper = await RoguePeer.listen({ node: below, has: [0], onChunks: honest });
    await using own = new TestNode([dying.address, keeper.address], chunkCount);
    assert.deepEqual(await own.read(0, 3), [0, 1, 2]);
  });

  it("C25: a node that asks about a build takes its share from then on", () =>
    beside({ leases: false, onChunks: giveOne }, async (own, rogue) => {
      await assert.rejects(own.read(0, 1), isNotFound);
      assert.equal(rogue.asked.chunks, 0);
      const address = await own.serve();
      using asking = new PeerConnection({ address, secret: testSecret, node, requestsMax: 1 });
      (await asking.get({ kind: "build", build: testBuild }, never)).resume();
      assert.deepEqual(await own.read(1, 1), [1]);
    }));

  it("C25: what is known of a peer is of a former start after a while, and is asked anew first", () => {
    const peer = { leases: false };
    return beside(
      {
        onBuild: (response) => {
          const none = GroupSet.of([]);
          const has = { rootfs: none, memfile: none, firstpages: none };
          response.end(encodeStanding({ node, leases: peer.leases, has, inputs: [] }));
        },
        onChunks: giveOne,
      },
      async (own, rogue) => {
        await assert.rejects(own.read(0, 1), isNotFound, "the peer has nothing, and leases nothing");
        await own.clock.advance(60_000);
        peer.leases = true; // it has started the build, and says so to nobody who does not ask
        assert.deepEqual(await own.read(0, 1), [0]);
        assert.equal(rogue.asked.build, 2);
      },
    );
  });

  it("asks itself nothing when the list of peers names it too", async () => {
    const elsewhere = await RoguePeer.listen({ node: TestNode.nameOf(), has: [0], onChunks: () => {} });
    await using own = new TestNode([elsewhere.address], chunkCount);
    await assert.rejects(own.read(0, 1), isNotFound);
    assert.equal(elsewhere.asked.chunks, 0);
    assert.equal(stateOf(own), "self");
    await elsewhere[Symbol.asyncDispose]();
  });
});
