import path from "node:path";
import { randomId } from "../base/random-id.ts";
import type { Random } from "../base/random.ts";

/** The id of a sandbox, and where it keeps its things. */
export interface Places {
  readonly id: string;
  readonly directory: string;
  readonly socketDirectory: string;
}

/** Of a sandbox that there has never been. */
export function newPlaces({
  random,
  directory,
  socketDirectory,
}: {
  readonly random: Random;
  readonly directory: string;
  readonly socketDirectory: string;
}): Places {
  // A letter first: the id is a label of host names.
  const id = `i${randomId(random, 20)}`;
  return { id, directory: path.join(directory, id), socketDirectory: path.join(socketDirectory, id) };
}
