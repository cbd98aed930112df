import { Failure } from "../base/failure.ts";

export interface Outcomes {
  readonly done: readonly string[];
  /** What the daemon said of the others. */
  readonly refused: Readonly<Record<string, string>>;
}

/**
 * Does the same to one sandbox after another. One that is not there, or not in a state for it, does not keep the
 * others from it; any other failure ends it all.
 */
export async function eachSandbox(
  ids: readonly string[],
  act: (path: string) => Promise<unknown>,
): Promise<Outcomes> {
  const done: string[] = [];
  const refused: Record<string, string> = {};
  for (const id of ids) {
    try {
      await act(`/sandboxes/${encodeURIComponent(id)}`);
      done.push(id);
    } catch (error) {
      if (!Failure.is(error, "not_found") && !Failure.is(error, "conflict")) throw error;
      refused[id] = error.message;
    }
  }
  return { done, refused };
}
