import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { choosePeer } from "./choose-peer.ts";
import { GroupSet } from "./group-set.ts";
import { rankOf } from "./rendezvous.ts";
import { testBuild } from "./testing/numbered-image.ts";

const artifact = "rootfs" as const;
const build = testBuild;
const nodes = Array.from({ length: 8 }, (_, i) => `node${i}`);

function ownerOf(names: readonly string[], group: number): string | undefined {
  const ranks = names.map((name) => ({ name, rank: rankOf(name, build, artifact, group) }));
  return ranks.sort((a, b) => (a.rank < b.rank ? 1 : -1))[0]?.name;
}

function peer(node: string, leases: boolean, has: number[] = []) {
  const none = GroupSet.of([]);
  const groups = { rootfs: GroupSet.of(has), memfile: none, firstpages: none };
  return { standing: { node, leases, has: groups, inputs: [] } };
}

describe("The order of a group", () => {
  it("gives every node a fair share", () => {
    const shares = new Map<string, number>();
    for (let group = 0; group < 800; group++) {
      const owner = ownerOf(nodes, group) ?? "";
      shares.set(owner, (shares.get(owner) ?? 0) + 1);
    }
    for (const share of shares.values()) assert.ok(share > 70 && share < 130, `a share of ${share} of 800`);
  });

  it("moves only the share of the node that left", () => {
    for (let group = 0; group < 50; group++) {
      const before = ownerOf(nodes, group);
      const after = ownerOf(nodes.slice(1), group);
      if (before !== nodes[0]) assert.equal(after, before);
    }
  });
});

describe("choosePeer", () => {
  it("asks the owner, whoever has it", () => {
    for (let group = 0; group < 50; group++) {
      const [self = "", ...others] = nodes;
      const peers = others.map((node) => peer(node, true, [group]));
      const chosen = choosePeer(peers, self, { build, artifact, group })?.standing.node;
      const owner = ownerOf(nodes, group);
      if (owner !== self) assert.equal(chosen, owner);
    }
  });

  it("asks nobody as the owner itself, unless somebody has it", () => {
    const group = Array.from({ length: 100 }, (_, i) => i).find((each) => ownerOf(nodes, each) === "node0");
    assert.ok(group !== undefined);
    const others = nodes.slice(1).map((node) => peer(node, true));
    const place = { build, artifact, group };
    assert.equal(choosePeer(others, "node0", place), undefined);
    assert.equal(
      choosePeer([...others, peer("idle", false, [group])], "node0", place)?.standing.node,
      "idle",
    );
  });

  it("lets no two nodes wait for each other, whatever each believes of the others", () => {
    for (let group = 0; group < 50; group++) {
      const place = { build, artifact, group };
      const one = choosePeer([peer("b", true)], "a", place);
      const other = choosePeer([peer("a", true)], "b", place);
      assert.equal([one, other].filter((each) => each !== undefined).length, 1);
    }
  });
});
