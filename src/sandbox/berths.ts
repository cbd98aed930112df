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

/** The berth of one whose machine was started before, as a user that it has already. */
export function berthWith(place: Berth, uid: LentUid | undefined): Berth {
  using undo = new DisposableStack();
  undo.use(place);
  if (uid !== undefined) undo.use(uid);
  const held = undo.move();
  return { uid: uid?.uid, started: () => place.started(), [Symbol.dispose]: () => held.dispose() };
}
