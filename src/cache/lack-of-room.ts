import { Failure } from "../base/failure.ts";
import type { Room } from "./room.ts";

/**
 * A wait for something whole. Whoever gives it up because its time is over while there is no room is told that: it
 * fails `exhausted`, naming the bytes (C18), although the flight that waits for the room may go on for others.
 */
export async function orLackOfRoom<T>(
  room: Pick<Room, "lackFor">,
  what: string,
  wait: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  let lack: string | undefined;
  const look = () => void (lack = room.lackFor(what));
  signal.addEventListener("abort", look, { once: true });
  try {
    return await wait();
  } catch (error) {
    if (lack === undefined) throw error;
    throw new Failure("exhausted", lack, { cause: error });
  } finally {
    signal.removeEventListener("abort", look);
  }
}
