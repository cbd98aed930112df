import { Readable } from "node:stream";
import {
  answerOf,
  begin,
  exchange,
  type GuestAnswer,
  type GuestRequest,
  type OpenStream,
} from "./exchange.ts";
import type { GuestBytes, OpenGuestBytes } from "./guest-bytes.ts";
import { LaneReader } from "./lane-reader.ts";
import { LaneSender } from "./lane-sender.ts";
import {
  laneHeader,
  laneLengthHeader,
  type LaneOffer,
  lanePath,
  laneWorthBytes,
  parseOffer,
  slotAddress,
} from "./protocol/lane.ts";

/**
 * Files by lanes (see protocol/lane.ts), over the session of one channel. Where the guest offers none, or its memory
 * cannot be reached, they pass as any other body does.
 */
export class Lanes implements AsyncDisposable {
  readonly #open: OpenStream;
  readonly #openBytes: OpenGuestBytes;
  #memory: Promise<GuestBytes | undefined> | undefined;
  #areOfUse = true;

  constructor(open: OpenStream, openBytes: OpenGuestBytes) {
    this.#open = open;
    this.#openBytes = openBytes;
  }

  /** A request for or with a file: like `exchange`. */
  async request(request: GuestRequest, signal: AbortSignal): Promise<GuestAnswer> {
    const plain = { ...request, headers: withoutLane(request.headers) };
    const isUpload = request.body instanceof Readable && isWorth(plain.headers["content-length"]);
    const answer =
      (this.#areOfUse && isUpload && (await this.#upload(plain, signal))) ||
      (this.#areOfUse && request.method === "GET" && (await this.#download(plain, signal)));
    return answer || (await exchange(this.#open, plain, signal));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#memory)?.[Symbol.asyncDispose]();
  }

  /** Undefined when the guest has offered a lane that is of no use: then the file must be asked for without one. */
  async #download(request: GuestRequest, signal: AbortSignal): Promise<GuestAnswer | undefined> {
    const asked = { ...request, headers: { ...request.headers, [laneHeader]: "1" } };
    const stream = begin(this.#open, asked, signal, false);
    const answer = await answerOf(stream, request, signal);
    if (answer.headers[laneHeader] === undefined) {
      stream.end();
      return answer;
    }
    const lane = await this.#laneIn(answer);
    if (lane === undefined) {
      stream.destroy();
      return undefined;
    }
    const { [laneLengthHeader]: length = "", ...headers } = withoutLane(answer.headers);
    return {
      ...answer,
      headers: { ...headers, "content-length": length },
      body: new LaneReader(stream, lane.offer, lane.memory),
    };
  }

  /** Undefined when the guest has no lane for it. */
  async #upload(request: GuestRequest, signal: AbortSignal): Promise<GuestAnswer | undefined> {
    const question = { method: "POST", path: lanePath, headers: {} };
    const stream = begin(this.#open, question, signal, false);
    const opened = await answerOf(stream, question, signal);
    const lane = opened.status === 200 ? await this.#laneIn(opened) : undefined;
    this.#areOfUse &&= opened.status !== 404;
    if (lane === undefined) {
      stream.destroy();
      return undefined;
    }
    const body = new LaneSender(request.body as Readable, lane.offer, lane.memory);
    stream.on("data", (emptied: Buffer) => {
      for (const each of emptied) body.emptied(each);
    });
    stream.once("close", () => body.destroy());
    const { "content-length": _, ...headers } = request.headers;
    try {
      const asked = { ...request, headers: { ...headers, [laneHeader]: lane.offer.id }, body };
      const answer = await exchange(this.#open, asked, signal);
      answer.body.once("close", () => stream.destroy());
      return answer;
    } catch (error) {
      stream.destroy();
      throw error;
    }
  }

  /** The lane that an answer offers, if the memory is there, can be moved at once, and bears its mark. */
  async #laneIn({ headers }: GuestAnswer): Promise<OpenedLane | undefined> {
    const offer = parseOffer(headers[laneHeader]);
    const memory = await (this.#memory ??= this.#openBytes().catch(() => undefined));
    if (offer !== undefined && memory !== undefined && (await isMarked(offer, memory)))
      return { offer, memory };
    this.#areOfUse = false;
    return undefined;
  }
}

interface OpenedLane {
  readonly offer: LaneOffer;
  readonly memory: GuestBytes;
}

/** Requests that carry files, or ask for one. */
export function isForFiles({ method, path }: GuestRequest): boolean {
  return (method === "GET" || method === "POST") && /^\/files(\?|$)/.test(path);
}

function isWorth(contentLength: string | string[] | undefined): boolean {
  return contentLength === undefined || Number(contentLength) >= laneWorthBytes;
}

function withoutLane<Fields extends Readonly<Record<string, string | string[]>>>(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).filter(([name]) => name.toLowerCase() !== laneHeader),
  ) as Fields;
}

async function isMarked(offer: LaneOffer, memory: GuestBytes): Promise<boolean> {
  const { address, mark, slots } = offer;
  if (!(await memory.isAtHand(address, slotAddress(offer, slots) - address))) return false;
  const found = Buffer.alloc(mark.length);
  try {
    memory.readNow(address, found);
  } catch {
    return false;
  }
  return found.equals(mark);
}
