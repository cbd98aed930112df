import { randomUUID } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import { isBuildId } from "../build/manifest.ts";

/**
 * What this node is called in the bucket, made now if it has no name yet. It lies beside the store and not in it:
 * nodes that share a store are several.
 */
export async function readOrMakeNodeId(data: string): Promise<string> {
  const file = path.join(data, "node-id");
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    if (Failure.from(error).code === "not_found") return undefined;
    throw error;
  });
  if (text === undefined) {
    const made = randomUUID();
    await writeFile(`${file}.new`, `${made}\n`, { mode: 0o600 });
    await rename(`${file}.new`, file);
    return made;
  }
  if (isBuildId(text.trim())) return text.trim();
  throw new Failure("corrupt", `${file} holds no id of a node (a UUID)`);
}
