import type { Admission } from "./admission.ts";
import type { UidRange } from "./uid-range.ts";

/** What a sandbox has of the node while it is awake: its place, its memory, the user of its machine. */
export interface Berth extends Disposable {
  readonly uid: number | undefined;
  /** Lets the next one start. */
  started(): void;
}

/** Takes a berth; waits for its turn. */
export async function takeBerth(
  admission: Admission,
  uids: UidRange | undefined,
  memoryBytes: number,
  signal: AbortSignal,
): Promise<Berth> {
  using undo = new DisposableStack();
  const place = undo.use(await admission.enter(memoryBytes, signal));
  const uid = uids === undefined ? undefined : undo.use(uids.take());
  const held = undo.move();
  return { uid: uid?.uid, started: () => place.started(), [Symbol.dispose]: () => held.dispose() };
}
