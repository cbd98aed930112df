import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { Failure } from "../base/failure.ts";
import type { Memfile } from "../machine/machine-spec.ts";
import { memoryServerName } from "../memory/memory-server.ts";
import type { BuildLease, MemoryParts } from "./build-source.ts";
import type { StartOrder } from "./launcher.ts";
import type { LazyMemories } from "./lazy-memories.ts";
import type { LentMemory } from "./lent-memory.ts";
import { memoryServerFile } from "./places.ts";

export interface MapOptions {
  readonly lease: BuildLease;
  /** Missing where every memory is fetched whole. */
  readonly memories?: Pick<LazyMemories, "take" | "retake"> | undefined;
  /** Gets what has to be given back. */
  readonly held: AsyncDisposableStack;
}

export interface ToMap {
  readonly parts: MemoryParts;
  readonly memfile: Memfile;
  /** What brings its pages; undefined when the file is whole. */
  readonly lent: LentMemory | undefined;
}

/**
 * What a restored machine maps: the sealed file or, as long as much of that is missing, one whose pages come when they
 * are needed. What runs already has mapped one of them, and keeps it.
 */
export async function memoryToMap(
  order: StartOrder,
  { lease, memories, held }: MapOptions,
  signal: AbortSignal,
): Promise<ToMap> {
  const find = order.left === undefined ? takeMemory : retakeMemory;
  const lent = await find(order, { lease, memories }, signal);
  if (lent === undefined) {
    const parts = await lease.memory(signal);
    return { parts, memfile: { path: parts.path, mode: "restore" }, lent };
  }
  held.use(lent);
  if (order.left === undefined) await writeFile(memoryServerFile(order), lent.name);
  const { file, path } = lent;
  const parts = { path, manifest: lease.manifest, index: lease.index("memfile"), changes: [] };
  return { parts, memfile: { path, mode: "restore", lazy: file }, lent };
}

type Sources = Pick<MapOptions, "lease" | "memories">;

async function takeMemory(
  { build, id: sandbox }: StartOrder,
  { lease, memories }: Sources,
  signal: AbortSignal,
): Promise<LentMemory | undefined> {
  if (memories === undefined || !(await lease.lacksMemory(signal))) return undefined;
  return await memories.take({ build, sandbox }, signal);
}

async function retakeMemory(
  order: StartOrder,
  { lease, memories }: Sources,
  signal: AbortSignal,
): Promise<LentMemory | undefined> {
  const name = notedMemory(order);
  if (name === undefined) return undefined;
  if (memories === undefined) throw new Failure("unavailable", "memories cannot be served page by page");
  await lease.open("memfile", signal);
  return await memories.retake({ build: order.build, name, sandbox: order.id }, signal);
}

/** The name of what serves the memory of a sandbox; undefined when it has mapped a whole file. */
export function notedMemory(owner: Pick<StartOrder, "socketDirectory">): string | undefined {
  try {
    const name = readFileSync(memoryServerFile(owner), "utf8");
    return memoryServerName.test(name) ? name : undefined;
  } catch {
    return undefined;
  }
}
