import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from "node:http2";
import { Readable } from "node:stream";
import { Failure } from "../base/failure.ts";

/** Opens a stream of the session; throws a Failure when there can be none. */
export type OpenStream = (
  headers: Record<string, string | string[]>,
  endStream: boolean,
) => ClientHttp2Stream;

export interface GuestRequest {
  readonly method: string;
  /** With the query, as it stands in a request line. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body?: Readable | Buffer | undefined;
}

export interface GuestAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Record<string, string | string[]>;
  readonly body: Readable;
}

/** Whatever carries requests to an agent. */
export interface RequestChannel {
  request(request: GuestRequest, signal: AbortSignal): Promise<GuestAnswer>;
}

/** One request and its answer over a stream of the channel. */
export async function exchange(
  open: OpenStream,
  request: GuestRequest,
  signal: AbortSignal,
): Promise<GuestAnswer> {
  const { body } = request;
  const stream = begin(open, request, signal, body === undefined);
  if (body !== undefined) send(body, stream);
  return await answerOf(stream, request, signal);
}

/** Sends the head of a request, and nothing of its body. `signal` governs the whole stream. */
export function begin(
  open: OpenStream,
  { method, path, headers }: GuestRequest,
  signal: AbortSignal,
  endStream: boolean,
): ClientHttp2Stream {
  signal.throwIfAborted();
  const pseudo = { ":method": method, ":path": path, ":scheme": "http", ":authority": "agent" };
  const stream = open({ ...fit(headers), ...pseudo }, endStream);
  bindToSignal(stream, signal);
  return stream;
}

/** Resolves with the answer to a request that was begun. */
export async function answerOf(
  stream: ClientHttp2Stream,
  { method, path }: GuestRequest,
  signal: AbortSignal,
): Promise<GuestAnswer> {
  const answer = await headOf(stream, `${method} ${path.split("?", 1)[0]}`, signal);
  const status = Number(answer[":status"]);
  return { status, headers: withoutPseudo(answer), body: stream };
}

/** Ends `stream` with the signal's reason when that aborts, up to the moment the stream has ended by itself. */
export function bindToSignal(stream: ClientHttp2Stream, signal: AbortSignal): void {
  const onAbort = () => stream.destroy(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  stream.once("close", () => signal.removeEventListener("abort", onAbort));
  // Whoever reads or waits learns it; a stream that nobody reads must not end the daemon.
  stream.on("error", () => {});
}

/** Gives up a stream, so that the other end is sure to notice: one that ends without an error may seem to go on. */
export function cancel(stream: ClientHttp2Stream): void {
  if (!stream.destroyed) stream.close(constants.NGHTTP2_CANCEL);
}

/** Resolves with the headers of the answer; the stream's end before that is `unavailable`. */
export async function headOf(
  stream: ClientHttp2Stream,
  what: string,
  signal: AbortSignal,
): Promise<IncomingHttpHeaders & { ":status"?: number }> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingHttpHeaders>();
  const lost = (cause?: Error) =>
    reject(new Failure("unavailable", `the guest gave no answer to ${what}`, { cause }));
  stream.once("response", resolve);
  stream.once("error", lost);
  stream.once("close", lost);
  try {
    return await promise;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    stream.off("response", resolve);
    stream.off("error", lost);
    stream.off("close", lost);
  }
}

function send(body: Readable | Buffer, stream: ClientHttp2Stream): void {
  if (!(body instanceof Readable)) {
    stream.end(body);
    return;
  }
  // By hand, not by `pipeline`: an answer may come, and be complete, before all of the body was sent.
  body.on("error", (error) => stream.destroy(error));
  body.on("close", () => {
    if (body.readableEnded) return;
    if (stream.readableEnded) stream.close();
    else stream.destroy(new Failure("cancelled", "the body of the request was cut short"));
  });
  // Whoever made the body learns by its end that the rest of it is of no use. A stream whose answer is complete does
  // not close by itself as long as something waits to be sent.
  for (const event of ["end", "close"]) stream.once(event, () => body.destroy());
  body.pipe(stream);
}

/** HTTP/2 knows no headers of a connection, and `host` is `:authority`. */
const unfit = new Set([
  "connection",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

function fit(headers: GuestRequest["headers"]): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers)
      .map(([name, value]) => [name.toLowerCase(), value] as const)
      .filter(([name]) => !unfit.has(name) && !name.startsWith(":")),
  );
}

/** Built without assignments: a guest may call a header `__proto__`. */
function withoutPseudo(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const fields = Object.entries(headers).filter(
    ([name, value]) => !name.startsWith(":") && value !== undefined,
  );
  return Object.fromEntries(fields) as Record<string, string | string[]>;
}
