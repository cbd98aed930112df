export type Header = readonly [name: string, value: string];

/** What is sent with a request; it may be asked for its pieces again when the request has to be sent again. */
export interface RequestBody {
  readonly bytes: number;
  pieces(signal: AbortSignal): AsyncIterable<Uint8Array>;
}

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Path and query, encoded as they go over the wire. */
  readonly target: string;
  /** Without `content-length`, which follows from the body. */
  readonly headers: readonly Header[];
  readonly body?: RequestBody;
  /** How long to wait for the head of the answer, once the request is sent. */
  readonly answerMsMax: number;
}

export interface HttpLimits {
  readonly connectMsMax: number;
  /** Longest time without progress, in sending or in a body that somebody waits for. */
  readonly stallMsMax: number;
}

/** The head of a request as it is sent. Values come from our own code: a line break in one is a bug. */
export function encodeHead({ method, target, headers, body }: HttpRequest): string {
  let text = `${method} ${target} HTTP/1.1\r\n`;
  for (const [name, value] of headers) {
    if (/[\r\n\0]/.test(value)) throw new Error(`the value of the header ${name} has a line break`);
    text += `${name}: ${value}\r\n`;
  }
  if (body !== undefined || method === "PUT" || method === "POST")
    text += `content-length: ${body?.bytes ?? 0}\r\n`;
  return `${text}\r\n`;
}
