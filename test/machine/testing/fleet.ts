import assert from "node:assert/strict";
import { copyFile, mkdtemp, readdir, rm } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import path from "node:path";
import { chunkBytes } from "../../../src/build/artifact.ts";
import { freeAddresses } from "../../../src/daemon/testing/fan-node.ts";
import { testSecret } from "../../../src/peers/testing/numbered-image.ts";
import { RoguePeer, sendChunk } from "../../../src/peers/testing/rogue-peer.ts";
import type { FarBucket } from "./far-bucket.ts";
import { run, serve, type Served, sharedData } from "./served.ts";

const launcher = path.join(import.meta.dirname, "../../../bin/larder.mjs");

/** Groups of chunks in a disk of 10 GiB. */
const groupsMax = 2560;

/** Where a node of a fleet is, and what its daemon is told; it has nothing yet. */
export interface Place {
  readonly data: string;
  readonly environment: Record<string, string>;
}

export interface FleetOptions {
  readonly bucket: FarBucket;
  readonly nodes: number;
  /** Peers that are no daemons. */
  readonly others?: readonly { readonly host: string; readonly port: number }[];
}

/** Data directories of nodes that share a bucket and know each other, made as the docs say; nothing runs there yet. */
export async function fleetPlaces({ bucket, nodes, others = [] }: FleetOptions) {
  const directory = await mkdtemp("/var/tmp/larder-fleet-");
  const own = await freeAddresses(nodes);
  const LARDER_PEERS = [...others, ...own].map(({ host, port }) => `${host}:${port}`).join(",");
  const places = own.map(({ host, port }, index): Place => {
    const at = { LARDER_PEER_HOST: host, LARDER_PEER_PORT: String(port) };
    const peers = { LARDER_PEERS, ...at, LARDER_PEER_SECRET: testSecret };
    const data = path.join(directory, String(index));
    return { data, environment: { ...bucket.environment, ...(nodes > 1 ? peers : {}), LARDER_DATA: data } };
  });
  const make = async ({ data, environment }: Place) => {
    const { code, stderr } = await run([launcher, "template", "import"], { ...process.env, ...environment });
    assert.equal(code, 0, stderr);
    // What a host finds out about itself by trying is the same for all nodes of this one.
    await copyFile(path.join(sharedData(), "tsc-khz.json"), path.join(data, "tsc-khz.json")).catch(() => {});
  };
  await Promise.all(places.map(make));
  return { places, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}

/** A peer that says it has all of every build, with its inputs, and sends something else. */
export async function liarFor(bucket: string): Promise<RoguePeer> {
  const groups = Array.from({ length: groupsMax }, (_, group) => group);
  const inputs = await readdir(path.join(bucket, "blobs/sha256"));
  const lie = (first: number, response: ServerResponse) => {
    sendChunk(response, first, Buffer.alloc(chunkBytes, 0x5a));
    response.end();
  };
  const has = { has: groups, hasMemory: groups, inputs };
  return await RoguePeer.listen({
    ...{ node: "liar", leases: true, ...has },
    onChunks: lie,
    onInput: (response) => lie(0, response),
  });
}

/** Starts the daemons of all places, at the same time. */
export async function startFleet(places: readonly Place[]) {
  const started = await Promise.all(places.map(({ data, environment }) => serve(environment, data)));
  return {
    daemons: started as readonly Served[],
    [Symbol.asyncDispose]: async () => {
      for (const each of started) await each[Symbol.asyncDispose]();
    },
  };
}
