import { Failure } from "../base/failure.ts";
import { SharedView } from "../cache/shared-view.ts";
import type { TemplateCache } from "../cache/template-cache.ts";
import type { IndexBook } from "../build/index-book.ts";
import { type PeerAddress, PeerConnection } from "../peers/peer-connection.ts";
import { Peers } from "../peers/peers.ts";
import type { Ground } from "./wiring.ts";

type PeersGround = Pick<Ground, "configuration" | "clock" | "random" | "logger" | "metrics">;

/** This node among the others, as the settings say; undefined when they name none. */
export function makePeers(ground: PeersGround, indexes: IndexBook): Peers | undefined {
  const { configuration, clock, random, logger, metrics: meter } = ground;
  const { peers, peerPort, peerSecret: secret } = configuration;
  if (secret === undefined || (peers === undefined && peerPort === undefined)) return undefined;
  const addresses = (peers ?? []).map(addressOf);
  return new Peers({ addresses, secret, indexes, clock, random, logger, meter });
}

/** Lets the others read from the shelf, if they are to. */
export async function servePeers(peers: Peers, cache: TemplateCache, ground: PeersGround): Promise<void> {
  const { peerHost: host, peerPort } = ground.configuration;
  if (peerPort === undefined) return;
  const port = await peers.serve(new SharedView(cache), { host, port: peerPort });
  ground.logger.info({ host, port, node: peers.node }, "other nodes are served");
}

/** The addresses at which no node answers that knows the secret, each with the reason. */
export async function findPeers(
  addresses: readonly string[],
  secret: string,
  signal: AbortSignal,
): Promise<string[]> {
  const ask = async (text: string) => {
    const address = addressOf(text);
    using connection = new PeerConnection({ address, secret, node: "doctor", requestsMax: 1 });
    // No build has this id: so nobody takes the question for a lease on one that is in use.
    const answer = await connection.get({ kind: "build", build: nilBuild }, signal);
    answer.destroy();
  };
  const settled = await Promise.allSettled(addresses.map(ask));
  return settled.flatMap((each) => (each.status === "fulfilled" ? [] : [Failure.from(each.reason).message]));
}

const nilBuild = "00000000-0000-4000-8000-000000000000";

function addressOf(text: string): PeerAddress {
  const at = text.lastIndexOf(":");
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(text.slice(at + 1)) };
}
