import path from "node:path";
import { silentLogger } from "../../src/base/logger.ts";
import { silentMeter } from "../../src/base/meter.ts";
import type { MadeFiles } from "../../src/build/made-files.ts";
import { readWhole } from "../../src/cache/read-whole.ts";
import { Publisher } from "../../src/sandbox/publisher.ts";
import type { Node } from "./node.ts";
import type { Scene } from "./scene.ts";
import type { ProcessDisk } from "./simulated-disk.ts";

/** Who holds a build that is not published yet. */
export const publisherHolder = "publisher";
const directory = "/unpublished";

export function madeDirectory(build: string): string {
  return path.join(directory, build);
}

/**
 * The production publisher of a process. C20, C27: at a start, before anything may be evicted, what was made here and
 * is not published is leased again. It is there, though no bucket has it.
 */
export async function openPublisher(scene: Scene, node: Node, strict: boolean): Promise<Publisher> {
  const { clock } = node;
  const lease = async (build: string, signal: AbortSignal) => {
    const making = scene.makings.get(build);
    try {
      const held = await node.cache.acquire(build, publisherHolder, signal);
      if (making !== undefined) making.state = "kept";
      return held;
    } catch (error) {
      // Power that was lost may bring back the directory of one that was published.
      if (strict && making?.state === "kept" && !scene.contents.has(build))
        scene.watch.violate(`C20, C27: ${build}, made here and not published, is lost: ${String(error)}`);
      throw error;
    }
  };
  const onPublished = (build: string) => {
    scene.note(`${node.name} has published ${build.slice(0, 4)}`);
    if (!scene.contents.has(build)) scene.watch.violate(`C26: ${build} is said to be published, and is not`);
    node.requests.forget();
    node.cache.announcePublished(build);
  };
  const tools = { clock, logger: silentLogger, meter: silentMeter };
  const files = madeFilesOf(node.disk);
  const publisher = new Publisher({ bucket: node.bucket, directory, files, lease, onPublished, ...tools });
  await publisher.recall(async (build) => scene.makings.get(build)?.state !== "failed");
  return publisher;
}

function madeFilesOf(disk: ProcessDisk): MadeFiles {
  return {
    list: (place) => disk.list(place),
    read: (file) => readWhole(disk, file),
    size: async (file) => (await disk.size(file)) ?? -1,
    remove: (place) => disk.remove(place),
  };
}
