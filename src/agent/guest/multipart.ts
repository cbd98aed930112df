import busboy from "busboy";
import { StatusError } from "./answers.ts";
import { FormSplitter } from "./form-splitter.ts";
import { Handover } from "./handover.ts";

/** Parts of one request. */
const partsMax = 10_000;
/** The field whose parts are files; others are passed over. */
const fileField = "file";

/**
 * Hands each file of a multipart body to `take`, as it comes, and returns what that gave, in the order of the parts.
 * A part without a file name is a file as well. One file is taken at a time, and a piece of it holds good until the
 * next is asked for.
 */
export async function readParts<T>(
  body: AsyncIterable<Buffer>,
  contentType: string,
  take: (name: string | undefined, part: AsyncIterable<Buffer>) => Promise<T>,
): Promise<T[]> {
  const splitter = new FormSplitter(boundaryOf(contentType));
  const heads = new HeadReader();
  const taken: T[] = [];
  let parts = 0;
  let part: Handover<Buffer, T> | undefined;
  try {
    for await (const bytes of body) {
      for (const piece of splitter.push(bytes)) {
        if (piece.kind === "head") {
          parts += 1;
          if (parts > partsMax) throw new StatusError(413, `more than ${partsMax} parts`);
          const head = heads.read(piece.bytes);
          if (head?.field === fileField) part = new Handover((pieces) => take(head.name, pieces));
        } else if (piece.kind === "content") await part?.give(piece.bytes);
        else if (part !== undefined) {
          taken.push(await part.end());
          part = undefined;
        }
      }
    }
    if (!splitter.isComplete) throw new Error("it ends before its last boundary");
    return taken;
  } catch (error) {
    await part?.fail(error as Error);
    if (error instanceof StatusError || "code" in (error as object)) throw error;
    throw new StatusError(400, `no multipart body: ${(error as Error).message}`);
  }
}

function boundaryOf(contentType: string): string {
  const [, quoted, plain] = /;\s*boundary=(?:"((?:[^"\\]|\\.)+)"|([^;\s"]+))/i.exec(contentType) ?? [];
  const boundary = quoted?.replaceAll(/\\(.)/g, "$1") ?? plain;
  if (boundary === undefined) throw new StatusError(400, "no multipart body: its boundary is not told");
  return boundary;
}

interface Head {
  readonly field: string;
  /** Of the file. */
  readonly name: string | undefined;
}

/** Reads the heads of parts: of a form that consists of nothing else. */
class HeadReader {
  readonly #parser = busboy({
    headers: { "content-type": "multipart/form-data; boundary=b" },
    preservePath: true,
    defParamCharset: "utf8",
  });
  #found: Head | undefined;

  constructor() {
    this.#parser.on("file", (field, part, { filename }) => {
      part.resume();
      this.#found = { field, name: filename };
    });
    this.#parser.on("field", (field) => (this.#found = { field, name: undefined }));
    this.#parser.on("error", () => {}); // It is asked for it.
    this.#parser.write("--b\r\n");
  }

  /** Undefined for a part that is none of a form. */
  read(head: Buffer): Head | undefined {
    this.#found = undefined;
    this.#parser.write(Buffer.concat([head, Buffer.from("\r\n\r\n\r\n--b\r\n")]));
    if (this.#parser.errored) throw this.#parser.errored;
    return this.#found;
  }
}
