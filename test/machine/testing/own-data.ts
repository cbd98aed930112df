import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { sharedData } from "./served.ts";

/** What a daemon knows of its templates and of its host: the store, and what was found out by trying. */
const known = /^(larder\.db.*|template|tsc-khz\.json)$/;

/** A data directory that knows the templates of the shared one, and has nothing of them. */
export async function ownData() {
  const directory = await mkdtemp("/var/tmp/larder-own-data-");
  for (const name of await readdir(sharedData()))
    if (known.test(name))
      await cp(path.join(sharedData(), name), path.join(directory, name), { recursive: true });
  return { directory, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}
