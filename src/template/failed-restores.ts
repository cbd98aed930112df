import { createHash } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import type { MachineShape } from "../build/manifest.ts";

/**
 * Remembers, in a small file, which machines did not run or not restore on this host although they should, so that
 * not every start tries again. Losing the file costs one more try.
 */
export class FailedRestores {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  async has(recipe: string, shape: MachineShape): Promise<boolean> {
    return (await this.#read()).includes(keyOf(recipe, shape));
  }

  async add(recipe: string, shape: MachineShape): Promise<void> {
    const keys = new Set([...(await this.#read()), keyOf(recipe, shape)]);
    await writeFile(`${this.#file}.new`, JSON.stringify([...keys].slice(-keysMax)));
    await rename(`${this.#file}.new`, this.#file);
  }

  async #read(): Promise<unknown[]> {
    try {
      const keys: unknown = JSON.parse(await readFile(this.#file, "utf8"));
      return Array.isArray(keys) ? keys : [];
    } catch {
      return [];
    }
  }
}

/** More are never of use: old recipes do not come back. */
const keysMax = 20;

function keyOf(recipe: string, shape: MachineShape): string {
  return createHash("sha256")
    .update(JSON.stringify([recipe, shape]))
    .digest("hex");
}
