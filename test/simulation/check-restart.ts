import assert from "node:assert/strict";
import { chunkBytes } from "../../src/build/artifact.ts";
import { keptOn } from "./checks.ts";
import type { Node } from "./node.ts";
import type { Scene } from "./scene.ts";
import type { SimulatedDisk } from "./simulated-disk.ts";

/** C21: right after a start, what was kept is read without the bucket: nothing of it is asked for. */
export async function checkRestart(scene: Scene, node: Node, disk: SimulatedDisk): Promise<void> {
  const patience = new AbortController();
  using _timer = node.clock.after(60_000, () => patience.abort());
  const builds = keptOn(disk);
  for (const { build, rootfs, manifest } of scene.known) {
    const kept = builds.get(build)?.get("rootfs");
    if (kept === undefined || manifest.rootfs === undefined || manifest.ancestors.length > 0) continue;
    await using lease = await node.cache.acquire(build, "a look after the start", patience.signal);
    await lease.open("rootfs", patience.signal);
    const device = lease.image("rootfs");
    const before = node.requests.asked.length;
    for (const chunk of kept) {
      const offset = chunk * chunkBytes;
      const length = Math.min(chunkBytes, device.bytes - offset);
      if (length <= 0) continue;
      const into = Buffer.alloc(length);
      await device.read(offset, into, patience.signal);
      assert.ok(into.equals(rootfs.subarray(offset, offset + length)), "C11, C21: what was kept");
    }
    const asked = node.requests.asked.slice(before);
    if (asked.length > 0) scene.watch.violate(`C21: ${asked.join()} was kept, and fetched again`);
  }
}
