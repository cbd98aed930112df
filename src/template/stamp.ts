import { open, readdir, readFile, readlink, rename } from "node:fs/promises";
import path from "node:path";
import { fileDigest } from "./file-digest.ts";

/** What a finished directory of the cache says of itself. It is written last: without it the directory is rubbish. */
export interface Stamp<Facts> {
  readonly facts: Facts;
  /** SHA-256 (hex) of each file by its relative path; of a symbolic link, `-> ` and where it points. */
  readonly files: Readonly<Record<string, string>>;
}

const stampName = "stamp.json";

/** Digests everything in `directory`, then writes the stamp, in a way that survives a crash. */
export async function writeStamp(directory: string, facts: object, signal: AbortSignal): Promise<void> {
  const files = await digestsOf(directory, signal);
  const temporary = path.join(directory, `${stampName}.new`);
  const file = await open(temporary, "w");
  try {
    await file.writeFile(JSON.stringify({ facts, files } satisfies Stamp<object>, null, 1));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path.join(directory, stampName));
}

/** The facts of a directory that is whole and unchanged; undefined of any other, also of one that is not there. */
export async function readStamp<Facts>(directory: string, signal: AbortSignal): Promise<Facts | undefined> {
  const text = await readFile(path.join(directory, stampName), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const stamp = parsed<Facts>(text);
  if (stamp === undefined) return undefined;
  const files = await digestsOf(directory, signal);
  const names = Object.keys(files);
  const same = names.length === Object.keys(stamp.files).length;
  return same && names.every((name) => files[name] === stamp.files[name]) ? stamp.facts : undefined;
}

/** The cache belongs to this user: a stamp that is not one was cut short, nothing worse. */
function parsed<Facts>(text: string): Stamp<Facts> | undefined {
  try {
    const stamp = JSON.parse(text) as Partial<Stamp<Facts>>;
    return stamp.facts !== undefined && stamp.files !== undefined ? (stamp as Stamp<Facts>) : undefined;
  } catch {
    return undefined;
  }
}

async function digestsOf(directory: string, signal: AbortSignal): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  const entries = await readdir(directory, { withFileTypes: true, recursive: true });
  for (const entry of entries) {
    const file = path.join(entry.parentPath, entry.name);
    const name = path.relative(directory, file);
    if (name === stampName || name === `${stampName}.new`) continue;
    if (entry.isSymbolicLink()) digests[name] = `-> ${await readlink(file)}`;
    else if (entry.isFile()) digests[name] = await fileDigest(file, signal);
  }
  return digests;
}
