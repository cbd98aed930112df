import path from "node:path";
import type { Disk } from "./disk.ts";
import { Journal } from "./journal.ts";
import { Ledger } from "./ledger.ts";
import { removeUnexplained, type WholeFileSizes, wholeFileSizes } from "./recovery.ts";

/**
 * The node's own disk, as one process finds and owns it.
 * Layout: docs/formats.md, "On the shelf".
 */
export interface Shelf {
  readonly directory: string;
  readonly disk: Disk;
  readonly lock: Disposable;
  readonly journal: Journal;
  readonly files: WholeFileSizes;
  /** The former run ended in order. */
  readonly clean: boolean;
  /** Builds of which something has not been verified since an unclean stop. */
  readonly suspect: ReadonlySet<string>;
  /** Files and directories that no record explained. */
  readonly removed: number;
}

/** Takes the shelf for this process; throws `conflict`, naming the holder, when another one has it (C21). */
export async function openShelf(disk: Disk, directory: string, now: number): Promise<Shelf> {
  await disk.makeDirectory(path.join(directory, "builds"));
  await disk.makeDirectory(path.join(directory, "blobs"));
  const lock = disk.lock(path.join(directory, "lock"), `process ${process.pid}`);
  try {
    const ledger = new Ledger(await Journal.read(disk, directory));
    const { clean, suspect } = ledger;
    endLeases(ledger, now);
    const removed = await removeUnexplained(disk, directory, ledger);
    const files = await wholeFileSizes(disk, directory, ledger);
    const journal = await Journal.start(disk, directory, ledger);
    return { directory, disk, lock, journal, files, clean, suspect, removed };
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

export function buildDirectory(shelf: string, build: string): string {
  return path.join(shelf, "builds", build);
}

/**
 * A crash ended the leases of its run, or came before a first use was told: that is when those builds were used last,
 * as nearly as anyone knows (C17).
 */
function endLeases(ledger: Ledger, now: number): void {
  for (const kept of ledger.builds.values()) {
    if (!kept.leased && kept.usedAt !== 0) continue;
    kept.leased = false;
    kept.usedAt = now;
  }
}
