import type { OfferedBuild, OfferedImage, Offering } from "../../src/peers/offering.ts";
import type { RequestWatch } from "./watch.ts";

/** The same shelf; what is fetched for others is looked at. */
export function watchedView(view: Offering, requests: RequestWatch): Offering {
  return {
    claim: (build) => {
      const claimed = view.claim(build);
      return claimed === undefined ? undefined : watchedBuild(claimed, build, requests);
    },
  };
}

function watchedBuild(offered: OfferedBuild, build: string, requests: RequestWatch): OfferedBuild {
  const watched = (image: OfferedImage): OfferedImage => ({
    chunkCount: image.chunkCount,
    has: (chunk) => image.has(chunk),
    read: (chunk) => image.read(chunk),
    fetched: (chunk, signal) => requests.forPeer(build, () => image.fetched(chunk, signal)),
  });
  return {
    get leased() {
      return offered.leased;
    },
    kept: async (artifact, signal) => {
      const image = await offered.kept(artifact, signal);
      return image === undefined ? undefined : watched(image);
    },
    opened: async (artifact, signal) =>
      watched(await requests.forPeer(build, () => offered.opened(artifact, signal))),
    get inputs() {
      return offered.inputs;
    },
    keptInput: (digest) => offered.keptInput(digest),
    fetchedInput: (digest, signal) => requests.forPeer(build, () => offered.fetchedInput(digest, signal)),
    [Symbol.asyncDispose]: () => offered[Symbol.asyncDispose](),
  };
}
