import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { Failure } from "../../base/failure.ts";
import type {
  CreateWatcherRequest,
  Filesystem,
  FilesystemEventSchema,
  WatchDirRequest,
} from "../protocol/generated/filesystem_pb.js";
import { type EntryContext, entryOf } from "./entries.ts";
import { fileFailure } from "./file-failure.ts";
import { keepaliveMsOf } from "./keepalive.ts";
import type { KernelRandom } from "./kernel-random.ts";
import { streaming, unary } from "./rpc-errors.ts";
import type { Watcher, Watchers } from "./watchers.ts";
import type { Change } from "./watched-tree.ts";

export interface WatchServiceContext extends EntryContext {
  readonly watchers: Watchers;
  readonly random: KernelRandom;
  readonly clock: Clock;
}

type Watching = Pick<
  ServiceImpl<typeof Filesystem>,
  "watchDir" | "createWatcher" | "getWatcherEvents" | "removeWatcher"
>;

interface Asked {
  readonly watcher: Watcher;
  /** As the client named the directory. */
  readonly path: string;
  readonly includeEntry: boolean;
}

/** The RPCs of `filesystem.Filesystem` that tell of changes: as they come, or when asked for. */
export function watchService(
  context: WatchServiceContext,
  resolve: (path: string, rpc: HandlerContext) => string,
): Watching {
  const { watchers, random, clock } = context;
  const polled = new Map<string, Asked>();
  const open = async (
    request: WatchDirRequest | CreateWatcherRequest,
    rpc: HandlerContext,
  ): Promise<Asked> => {
    const path = resolve(request.path, rpc);
    try {
      return { watcher: await watchers.watch(path, request), path, includeEntry: request.includeEntry };
    } catch (error) {
      throw fileFailure(error, path);
    }
  };
  const find = (id: string): Asked => {
    const found = polled.get(id);
    if (found === undefined) throw new Failure("not_found", `there is no watcher '${id}'`);
    return found;
  };
  return {
    watchDir: streaming(async function* (request: WatchDirRequest, rpc: HandlerContext) {
      const asked = await open(request, rpc);
      using watcher = asked.watcher;
      const leave = () => watcher.interrupt();
      rpc.signal.addEventListener("abort", leave);
      yield { event: { case: "start" as const, value: {} } };
      for (;;) {
        using _timer = clock.after(keepaliveMsOf(rpc.requestHeader), leave);
        await watcher.wait();
        rpc.signal.throwIfAborted();
        const changes = watcher.drain();
        if (changes.length === 0) yield { event: { case: "keepalive" as const, value: {} } };
        for (const change of changes) {
          yield { event: { case: "filesystem" as const, value: messageOf(change, asked, context) } };
        }
      }
    }),
    createWatcher: unary(async (request: CreateWatcherRequest, rpc: HandlerContext) => {
      const watcherId = random.bytes(12).toString("hex");
      polled.set(watcherId, await open(request, rpc));
      return { watcherId };
    }),
    getWatcherEvents: unary(async ({ watcherId }) => {
      const asked = find(watcherId);
      return { events: asked.watcher.drain().map((change) => messageOf(change, asked, context)) };
    }),
    removeWatcher: unary(async ({ watcherId }) => {
      find(watcherId).watcher[Symbol.dispose]();
      polled.delete(watcherId);
      return {};
    }),
  };
}

function messageOf(
  { name, type }: Change,
  { path, includeEntry }: Asked,
  context: EntryContext,
): MessageInitShape<typeof FilesystemEventSchema> {
  const entry = includeEntry ? entryIfThere(join(path, name), context) : undefined;
  return entry === undefined ? { name, type } : { name, type, entry };
}

/** What was changed may be gone by now. */
function entryIfThere(path: string, context: EntryContext) {
  try {
    return entryOf(path, context);
  } catch {
    return undefined;
  }
}
