import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { FileHandle } from "node:fs/promises";
import { Readable } from "node:stream";
import { encodeLength, laneHeader, LengthSplitter } from "../protocol/lane.ts";
import { StatusError } from "./answers.ts";
import type { Lane, Lanes } from "./lanes.ts";

/** `POST /lane`: opens a lane for an upload, and keeps it as long as the host keeps the request. */
export function answerLane(response: Http2ServerResponse, lanes: Lanes): void {
  const lane = lanes.open();
  if (lane === undefined) throw new StatusError(503, "all lanes are in use");
  const emptied = Buffer.of(1);
  lane.acknowledge = () => {
    if (!response.destroyed) response.write(emptied);
  };
  response.once("close", () => lane[Symbol.dispose]());
  response.writeHead(200, { [laneHeader]: lane.offer });
}

/** The lane that an upload comes by, if it does. Throws 409 for one that is not there. */
export function laneOf({ headers }: Http2ServerRequest, lanes: Lanes): Lane | undefined {
  const id = headers[laneHeader];
  if (id === undefined) return undefined;
  const lane = lanes.find(String(id));
  if (lane === undefined) throw new StatusError(409, "there is no such lane");
  return lane;
}

/** What a host sends by a lane. A piece holds good until the next one is asked for. */
export async function* piecesFrom(lane: Lane, request: Http2ServerRequest): AsyncGenerator<Buffer> {
  const splitter = new LengthSplitter();
  let slot = 0;
  for await (const bytes of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    for (const length of splitter.push(bytes)) {
      const piece = lane.slots[slot]?.subarray(0, length) ?? Buffer.alloc(0);
      slot = (slot + 1) % lane.slots.length;
      yield piece;
      lane.acknowledge();
    }
  }
}

/** The same as a stream of bytes that are its reader's. */
export function streamFrom(lane: Lane, request: Http2ServerRequest): Readable {
  return Readable.from(copies(piecesFrom(lane, request)), { objectMode: false });
}

async function* copies(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const piece of pieces) yield Buffer.from(piece);
}

export interface Stretch {
  readonly file: FileHandle;
  readonly from: number;
  readonly to: number;
}

/** Sends a stretch of a file by a lane; resolves when the host has taken all of it, or has left. */
export async function sendByLane(
  { file, from, to }: Stretch,
  lane: Lane,
  { request, response }: { request: Http2ServerRequest; response: Http2ServerResponse },
): Promise<void> {
  const { slots } = lane;
  const free = new FreeSlots(slots.length, request);
  for (let at = from, slot = 0; at < to; slot = (slot + 1) % slots.length) {
    if (!(await free.atLeast(1))) return;
    const room = slots[slot] ?? Buffer.alloc(0);
    const { bytesRead } = await file.read(room, 0, Math.min(room.length, to - at), at);
    if (bytesRead === 0) throw new StatusError(500, "the file became shorter while it was read");
    at += bytesRead;
    free.use();
    response.write(encodeLength(bytesRead));
  }
  response.end();
  await free.atLeast(slots.length);
}

/** How many slots of a lane the sender may fill. */
class FreeSlots {
  #count: number;
  #gone = false;
  #wake: () => void = () => {};

  constructor(count: number, request: Http2ServerRequest) {
    this.#count = count;
    request.on("data", (emptied: Buffer) => {
      for (const each of emptied) this.#count += each;
      this.#wake();
    });
    const { stream } = request;
    this.#gone = stream.closed || stream.destroyed;
    // A stream that is broken off without an error closes only when its writer has noticed.
    for (const event of ["aborted", "close"]) {
      stream.once(event, () => {
        this.#gone = true;
        this.#wake();
      });
    }
  }

  use(): void {
    this.#count -= 1;
  }

  /** False when the host has left. */
  async atLeast(count: number): Promise<boolean> {
    while (this.#count < count && !this.#gone) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return !this.#gone;
  }
}
