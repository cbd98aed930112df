import type { Admission } from "./admission.ts";
import type { LentUid, UidRange } from "./uid-range.ts";

/** What a sandbox has of the node while it is awake: its place, its memory, the user of its machine. */
export interface Berth extends Disposable {
  readonly uid: number | undefined;
  /** Lets the next one start. */
  started(): void;
}

/** The berth of one that runs already: it waits for nobody. */
export function retakeBerth(
  admission: Admission,
  uids: UidRange | undefined,
  { memoryBytes, uid }: { readonly memoryBytes: number; readonly uid?: number },
): Berth {
  using undo = new DisposableStack();
  const place = undo.use(admission.readmit(memoryBytes));
  if (uid !== undefined && uids !== undefined) undo.use(uids.retake(uid));
  const held = undo.move();
  return { uid, started: () => place.started(), [Symbol.dispose]: () => held.dispose() };
}

/** Takes a berth; waits for its turn. `lend` gives the user when that has come. */
export async function takeBerth(
  admission: Admission,
  lend: () => LentUid | undefined,
  memoryBytes: number,
  signal: AbortSignal,
): Promise<Berth> {
  using undo = new DisposableStack();
  const place = undo.use(await admission.enter(memoryBytes, signal));
  const uid = lend();
  if (uid !== undefined) undo.use(uid);
  const held = undo.move();
  return { uid: uid?.uid, started: () => place.started(), [Symbol.dispose]: () => held.dispose() };
}
