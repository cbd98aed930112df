import path from "node:path";
import { Failure } from "../base/failure.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { type JournalRecord, journalVersion, lineOf, parseLines } from "./journal-record.ts";
import type { Ledger } from "./ledger.ts";
import { readWhole } from "./read-whole.ts";

/** A journal this small is never written anew while it is in use. */
const compactBytesMin = 64 * 1024;

interface Waiting {
  readonly record: JournalRecord;
  readonly done: PromiseWithResolvers<void>;
}

/**
 * An append-only file of checksummed records, and what they amount to. It is written anew, with the shortest list
 * that says the same, at every start and when it has grown to twice its size:
 * a new file, synced, renamed over the old one, the directory synced.
 */
export class Journal {
  /** What the records that are on the disk amount to. */
  readonly ledger: Ledger;
  readonly #disk: Disk;
  readonly #directory: string;
  #file: DiskFile | undefined;
  #bytes = 0;
  /** Its size when it was last written anew. */
  #compactBytes = 0;
  /** A write has failed: there may be bytes behind the good ones. */
  #torn = false;
  /** It was renamed, and nobody knows yet whether that survives a crash. */
  #nameUnsynced = false;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;

  private constructor(disk: Disk, directory: string, ledger: Ledger) {
    this.#disk = disk;
    this.#directory = directory;
    this.ledger = ledger;
  }

  /**
   * The records of the journal in `directory`, up to the first that is damaged. Throws `invalid` when it is of a newer
   * version than this program knows.
   */
  static async read(disk: Disk, directory: string): Promise<JournalRecord[]> {
    const file = path.join(directory, "journal");
    const bytes = await readWhole(disk, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return Buffer.alloc(0);
      throw Failure.from(error, `the journal ${file} cannot be read`);
    });
    const records = parseLines(bytes.toString());
    const version = records[0]?.type === "format" ? records[0].version : 1;
    if (version > journalVersion) {
      throw new Failure(
        "invalid",
        `the journal ${file} has format version ${version}; this program reads up to ${journalVersion}. ` +
          `Run a newer Larder, or remove ${directory}: all that is in it can be fetched again`,
      );
    }
    return records;
  }

  /** Begins a run: a journal that says what `ledger` does, and that somebody owns the shelf from here on. */
  static async start(disk: Disk, directory: string, ledger: Ledger): Promise<Journal> {
    const journal = new Journal(disk, directory, ledger);
    ledger.apply({ type: "open" });
    await journal.#writeAnew();
    return journal;
  }

  /** Resolves when the record is on the disk. Records are written in the order of the calls, many at a time. */
  append(record: JournalRecord): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ record, done });
    this.#writing ??= this.#write();
    return done.promise;
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file?.close();
  }

  get #path(): string {
    return path.join(this.#directory, "journal");
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#appendBatch(batch);
        for (const { record, done } of batch) {
          this.ledger.apply(record);
          done.resolve();
        }
      } catch (error) {
        const failure = Failure.from(error, `the journal ${this.#path} cannot be written`);
        for (const { done } of batch) done.reject(failure);
      }
      // One that cannot be written anew goes on as it is, and is tried again when more has come.
      if (this.#isWasteful) await this.#writeAnew().catch(() => (this.#compactBytes = this.#bytes));
    }
    this.#writing = undefined;
  }

  async #appendBatch(batch: readonly Waiting[]): Promise<void> {
    const file = this.#file;
    if (file === undefined) throw new Failure("internal", "the journal is closed");
    if (this.#nameUnsynced) await this.#syncName();
    // Nothing of a batch that was refused may be read behind a shorter one.
    if (this.#torn) await file.resize(this.#bytes);
    const bytes = Buffer.from(batch.map(({ record }) => lineOf(record)).join(""));
    this.#torn = true;
    await file.write(bytes, this.#bytes);
    await file.sync();
    this.#torn = false;
    this.#bytes += bytes.length;
  }

  get #isWasteful(): boolean {
    return this.#bytes > compactBytesMin && this.#bytes > 2 * this.#compactBytes;
  }

  async #writeAnew(): Promise<void> {
    const bytes = Buffer.from(this.ledger.records().map(lineOf).join(""));
    const temporary = `${this.#path}.new`;
    const file = await this.#disk.open(temporary, "anew");
    try {
      await file.write(bytes, 0);
      await file.sync();
      await this.#disk.rename(temporary, this.#path);
    } catch (error) {
      await file.close();
      throw error;
    }
    const old = this.#file;
    this.#file = file;
    this.#bytes = bytes.length;
    this.#compactBytes = bytes.length;
    this.#torn = false;
    this.#nameUnsynced = true;
    await old?.close();
    await this.#syncName();
  }

  async #syncName(): Promise<void> {
    await this.#disk.syncDirectory(this.#directory);
    this.#nameUnsynced = false;
  }
}
