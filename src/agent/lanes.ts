import type { ClientHttp2Stream } from "node:http2";
import { Readable } from "node:stream";
import { ignore } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";
import {
  answerOf,
  begin,
  cancel,
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
    const { method, body } = request;
    const plain = { ...request, headers: withoutLane(request.headers) };
    if (this.#areOfUse && body instanceof Readable && isWorth(plain.headers["content-length"]))
      return await this.#upload(plain, body, signal);
    const answer = this.#areOfUse && method === "GET" ? await this.#download(plain, signal) : undefined;
    return answer ?? (await exchange(this.#open, plain, signal));
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
      cancel(stream);
      return undefined;
    }
    const { [laneLengthHeader]: length = "", ...headers } = withoutLane(answer.headers);
    return {
      ...answer,
      headers: { ...headers, "content-length": length },
      body: new LaneReader(stream, lane.offer, lane.memory),
    };
  }

  async #upload(request: GuestRequest, body: Readable, signal: AbortSignal): Promise<GuestAnswer> {
    body.on("error", ignore); // It is looked at again when there is a lane.
    const opened = await this.#openLane(signal).catch((error: unknown) => {
      body.destroy(); // Whoever made it learns that it is of no use.
      throw error;
    });
    if (body.destroyed && !body.readableEnded) {
      if (opened !== undefined) cancel(opened.stream);
      throw body.errored ?? new Failure("cancelled", "the body of the request was cut short");
    }
    if (opened === undefined) return await exchange(this.#open, request, signal);
    const { lane, stream } = opened;
    const lengths = new LaneSender(body, lane.offer, lane.memory);
    stream.on("data", (emptied: Buffer) => {
      for (const each of emptied) lengths.emptied(each);
    });
    stream.once("close", () => lengths.destroy());
    const { "content-length": _, ...headers } = request.headers;
    try {
      const asked = { ...request, headers: { ...headers, [laneHeader]: lane.offer.id }, body: lengths };
      const answer = await exchange(this.#open, asked, signal);
      answer.body.once("close", () => cancel(stream));
      return answer;
    } catch (error) {
      cancel(stream);
      throw error;
    }
  }

  /** Undefined when the guest has none to give. A lane is lent until its stream is destroyed. */
  async #openLane(signal: AbortSignal): Promise<{ lane: OpenedLane; stream: ClientHttp2Stream } | undefined> {
    const question = { method: "POST", path: lanePath, headers: {} };
    const stream = begin(this.#open, question, signal, false);
    const opened = await answerOf(stream, question, signal);
    const lane = opened.status === 200 ? await this.#laneIn(opened) : undefined;
    this.#areOfUse &&= opened.status !== 404;
    if (lane !== undefined) return { lane, stream };
    cancel(stream);
    return undefined;
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

/** Names in lower case. */
function withoutLane(fields: Readonly<Record<string, string | string[]>>): Record<string, string | string[]> {
  const all = Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value] as const);
  return Object.fromEntries(all.filter(([name]) => name !== laneHeader));
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
