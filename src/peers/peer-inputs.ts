import { Failure } from "../base/failure.ts";
import type { BlobName, ObjectSource } from "../build/object-source.ts";
import type { Neighbourhood } from "./neighbourhood.ts";
import type { Peer } from "./peer.ts";

export interface PeerInputsOptions {
  readonly neighbourhood: Neighbourhood;
  /** Peers that are asked for one input at most. */
  readonly askedMax: number;
  /** For what no peer has, and for all that is no input. */
  readonly origin: ObjectSource;
}

/** Smaller ones come from the bucket before a peer could be asked. */
const sharedBytesMin = 1024 * 1024;

/**
 * Whole objects; the inputs of builds among them from other nodes, by the rules of chunks, so that nodes that start
 * together fetch them once. Throws `unavailable` when a peer breaks off: who asks again gets all of it from another.
 */
export function peerInputs({ neighbourhood, askedMax, origin }: PeerInputsOptions): ObjectSource {
  return {
    name: origin.name,
    async *read(object, signal) {
      if (object.kind === "blob" && object.bytes >= sharedBytesMin) {
        await neighbourhood.meet(object.build, signal);
        const tried = new Set<Peer>();
        while (tried.size < askedMax) {
          const peer = neighbourhood.choose(object, tried);
          if (peer === undefined) break;
          tried.add(peer);
          if (yield* fromPeer(peer, object, signal)) return;
        }
      }
      yield* origin.read(object, signal);
    },
  };
}

/** False when the peer has given nothing, and another one may be asked. */
async function* fromPeer(
  peer: Peer,
  input: BlobName,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, boolean, undefined> {
  let given = false;
  try {
    for await (const piece of peer.input(input, signal)) {
      given = true;
      yield piece;
    }
    peer.proved();
    return true;
  } catch (error) {
    signal.throwIfAborted();
    peer.failed(input.build, error);
    if (!given) return false;
    throw new Failure("unavailable", `peer ${peer.address} has not brought all of an input`, {
      cause: error,
    });
  }
}
