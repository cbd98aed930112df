import assert from "node:assert/strict";
import { registerHooks } from "node:module";

/** The unit of verifying and keeping in worlds: four blocks. */
const bytes = 16 * 1024;
const declared = "export const chunkBytes = 256 * 1024;";

/**
 * Whoever imports this first has all that is imported after it work on small chunks: a world then moves a sixteenth of
 * the bytes, and does all else as it would. Nothing but this one number of src/build/artifact.ts is another one.
 */
registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith("/src/build/artifact.ts")) return loaded;
    const text = Buffer.from(loaded.source as Uint8Array).toString();
    assert.equal(text.split(declared).length, 2, "the size of a chunk is declared once");
    return { ...loaded, source: text.replace(declared, `export const chunkBytes = ${bytes};`) };
  },
});
