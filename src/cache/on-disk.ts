import { Failure } from "../base/failure.ts";

/**
 * Does something to the shelf's disk. Whatever it refuses is `exhausted`: told, and not tried again in a loop, because
 * the bucket is not to blame and asking it again does not help (C7).
 */
export async function onDisk<T>(path: string, work: Promise<T>): Promise<T> {
  return await work.catch((error: unknown) => {
    throw new Failure("exhausted", `the shelf's disk refuses ${path}: ${codeOf(error)}`, { cause: error });
  });
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | null)?.code ?? String(error);
}
