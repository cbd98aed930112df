import { Failure } from "../base/failure.ts";
import { type Collection, type CollectionWish, collectGarbage } from "../template/collect-garbage.ts";
import type { Builds, Ground } from "./wiring.ts";

export type Collect = (wish: CollectionWish, signal: AbortSignal) => Promise<Collection>;

/** Collects garbage of this node's bucket and shelf, once at a time. */
export function collectorOf(
  { clock, logger }: Pick<Ground, "clock" | "logger">,
  { bucket, cache, store, register }: Pick<Builds, "bucket" | "cache" | "store" | "register">,
): Collect {
  let isUnderWay = false;
  const needed = async () => {
    const held = cache.inspect().builds.filter(({ leases, pinned }) => leases > 0 || pinned);
    return new Set([...(await store.cards.needed()), ...held.map(({ build }) => build)]);
  };
  return async (wish, signal) => {
    if (isUnderWay) throw new Failure("conflict", "a collection is under way already");
    isUnderWay = true;
    try {
      // So that no name in the bucket leads to what goes now.
      if (!wish.dryRun) await register.sync(signal);
      const { storeId } = store.settings;
      const shelf = {
        builds: () => cache.inspect().builds,
        evict: (build: string) => cache.evict(build),
      };
      const forget = (builds: readonly string[]) => store.cards.forget(builds);
      const node = { node: register.node, store: storeId };
      return await collectGarbage({ bucket, ...node, needed, shelf, forget, clock, logger }, wish, signal);
    } finally {
      isUnderWay = false;
    }
  };
}
