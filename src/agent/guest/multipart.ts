import busboy from "busboy";
import { once } from "node:events";
import { Readable } from "node:stream";
import { StatusError } from "./answers.ts";

/** Parts of one request, and bytes of a part that came without a file name and is therefore held in memory. */
const partsMax = 10_000;
const plainBytesMax = 16 * 1024 * 1024;

/** The field whose parts are files; others are passed over. */
const fileField = "file";

/**
 * Hands each file of a multipart body to `take`, as it comes, and returns what that gave, in the order of the parts.
 * A part without a file name is a file as well. One file is taken at a time: the next part waits.
 */
export async function readParts<T>(
  body: Readable,
  contentType: string,
  take: (name: string | undefined, part: Readable) => Promise<T>,
): Promise<T[]> {
  const parser = parserFor(contentType);
  const taken: Promise<T>[] = [];
  const accept = (name: string | undefined, part: Readable) => {
    const result = (async () => await take(name, part))();
    result.catch((error: unknown) => parser.destroy(error as Error));
    taken.push(result);
  };
  parser.on("file", (field, part, { filename }) => {
    part.on("error", () => {}); // The parser says it as well.
    if (field === fileField) accept(filename, part);
    else part.resume();
  });
  parser.on("field", (field, value, { valueTruncated }) => {
    if (field !== fileField) return;
    if (valueTruncated)
      parser.destroy(
        new StatusError(413, `a part without a file name is larger than ${plainBytesMax} bytes`),
      );
    else accept(undefined, Readable.from([Buffer.from(value, "latin1")]));
  });
  parser.on("partsLimit", () => parser.destroy(new StatusError(413, `more than ${partsMax} parts`)));
  await feed(parser, body, taken);
  return await Promise.all(taken);
}

function parserFor(contentType: string): busboy.Busboy {
  try {
    return busboy({
      headers: { "content-type": contentType },
      preservePath: true,
      defParamCharset: "utf8",
      defCharset: "latin1", // Keeps every byte of a part that comes as text.
      limits: { parts: partsMax, fieldSize: plainBytesMax },
    });
  } catch (error) {
    throw new StatusError(400, `no multipart body: ${(error as Error).message}`);
  }
}

async function feed(
  parser: busboy.Busboy,
  body: Readable,
  taken: readonly Promise<unknown>[],
): Promise<void> {
  const closed = once(parser, "close"); // Rejects with the parser's error.
  closed.catch(() => {});
  try {
    for await (const bytes of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      if (!parser.write(bytes)) await Promise.race([once(parser, "drain"), closed]);
      await Promise.all(taken.slice(0, -1)); // All but the last are complete: nothing piles up.
    }
    parser.end();
    await closed;
  } catch (error) {
    parser.destroy();
    if (error instanceof StatusError || "code" in (error as object)) throw error;
    throw new StatusError(400, `no multipart body: ${(error as Error).message}`);
  }
}
