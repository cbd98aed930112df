import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { z } from "zod";

const begun = z.object({
  key: z.string(),
  bytes: z.int(),
  partBytes: z.int(),
  /** What the object will be marked with. */
  mark: z.string(),
  /** The store's name of the upload. */
  upload: z.string().min(1),
});

/** An upload in parts that was begun. */
export type BegunUpload = z.infer<typeof begun>;

/**
 * What the next run has to know to go on with an upload: a small file beside the one that is put. It is not synced:
 * what gets lost of it costs time, and nothing that it says is believed without looking.
 */
export class UploadNote {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** Undefined when there is none, or none that makes sense. */
  async read(): Promise<BegunUpload | undefined> {
    const text = await readFile(this.#file, "utf8").catch(() => "null");
    try {
      return begun.safeParse(JSON.parse(text)).data;
    } catch {
      return undefined;
    }
  }

  async write(upload: BegunUpload): Promise<void> {
    const temporary = `${this.#file}.new`;
    await writeFile(temporary, JSON.stringify(upload), { mode: 0o600 });
    await rename(temporary, this.#file);
  }

  async remove(): Promise<void> {
    await rm(this.#file, { force: true });
  }
}
