import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { systemClock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { ChunkTable } from "./chunk-table.ts";
import { MemoryServer } from "./memory-server.ts";

export interface Finding {
  readonly found: string;
  /** Missing when nothing has to be mended. */
  readonly mend?: string;
}

const probeBytes = 4096;

/** Whether this host can serve a memory page by page: serves one, and ends it. Without it all works, more slowly. */
export async function probeMemory(signal: AbortSignal): Promise<Finding> {
  const parent = await mkdtemp(path.join(tmpdir(), "larder-memory-"));
  try {
    const table = new ChunkTable(probeBytes, Buffer.alloc(32));
    const place = { directory: path.join(parent, "probe"), build: "probe", source: "/dev/null" };
    const bounds = { clock: systemClock, stalledMs: 1_000, withheldMsMax: 1_000 };
    const nothing = () => {};
    const read = async () => Buffer.alloc(probeBytes);
    const events = { read, onNews: nothing, onTouch: nothing, onTrouble: nothing };
    const server = await MemoryServer.start({ ...place, table, ...bounds }, events, signal);
    await server.end();
    return { found: "served page by page, so that a first start need not wait for all of it" };
  } catch (error) {
    signal.throwIfAborted();
    const why = Failure.from(error).message;
    return { found: `fetched whole before a template's first start: ${why}`, ...mendOf(why) };
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}

/** Only what root lacks can be mended: others may not mount, and do well without. */
function mendOf(why: string): Pick<Finding, "mend"> {
  if (process.getuid?.() !== 0) return {};
  return { mend: why.includes("/dev/fuse") ? "modprobe fuse" : "let the daemon mount file systems" };
}
