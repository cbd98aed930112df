import type { BlockDevice } from "../base/block-device.ts";
import { GuestMemory } from "../machine/guest-memory.ts";
import type { Machine } from "../machine/machine.ts";
import type { MemoryParts } from "./build-source.ts";

/** What is read and written at once. */
const pieceBytes = 1024 * 1024;
/** For so long the thread is kept at most before others have their turn. */
const turnMsMax = 4;

/** Writes a layer of memory into a machine that has mapped what lies below it and does not run yet. */
export async function writeMemory(
  machine: Pick<Machine, "identity" | "spec">,
  { changes }: Pick<MemoryParts, "changes">,
  image: BlockDevice,
  signal: AbortSignal,
): Promise<void> {
  if (changes.length === 0) return;
  await using memory = await GuestMemory.open(machine.identity.pid, machine.spec.memfile);
  const buffer = Buffer.allocUnsafe(pieceBytes);
  let turn = performance.now();
  for (const { offset, length } of changes) {
    for (let done = 0; done < length; done += pieceBytes) {
      const piece = buffer.subarray(0, Math.min(pieceBytes, length - done));
      if (!image.readNow(offset + done, piece)) await image.read(offset + done, piece, signal);
      memory.writeNow(offset + done, piece);
      if (performance.now() - turn < turnMsMax) continue;
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      turn = performance.now();
    }
  }
}
