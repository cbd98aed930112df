import { readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import type { Random } from "../base/random.ts";

/** Where the key that the local command line uses is kept; mode 0600. */
export function apiKeyFile(data: string): string {
  return path.join(data, "api-key");
}

/** The key in the file; undefined when there is no such file. */
export async function readApiKey(data: string): Promise<string | undefined> {
  const file = apiKeyFile(data);
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    if (Failure.from(error).code === "not_found") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const key = text.trim();
  if (/^e2b_[0-9a-f]+$/.test(key)) return key;
  throw new Failure("corrupt", `${file} holds no API key (e2b_ and hex digits): remove it to get a new one`);
}

/** The key in the file, made now if there is none. */
export async function readOrMakeApiKey(data: string, random: Random): Promise<string> {
  const kept = await readApiKey(data);
  if (kept !== undefined) return kept;
  const key = `e2b_${random.bytes(20).toString("hex")}`;
  const file = apiKeyFile(data);
  await writeFile(`${file}.new`, `${key}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
  return key;
}
