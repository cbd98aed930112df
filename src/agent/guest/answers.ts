import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { Failure, type FailureCode } from "../../base/failure.ts";

/** A failure that has an HTTP status of its own. */
export class StatusError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export function answerJson(response: Http2ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, { "content-type": "application/json", "content-length": body.length });
  response.end(body);
}

/** Says what went wrong, as clients expect it: a JSON object with exactly `code` and `message`. */
export function answerError(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  error: unknown,
): void {
  if (response.headersSent || response.destroyed) {
    response.stream?.destroy(); // The answer is under way; cutting it short is all that is left to say.
    return;
  }
  const status = statusOf(error);
  const message = error instanceof Error ? error.message : String(error);
  // Whoever still sends what nobody will read is told to stop, once the answer is out.
  response.once("finish", () => {
    if (!request.complete) request.stream.close();
  });
  answerJson(response, status, { code: status, message });
}

function statusOf(error: unknown): number {
  return error instanceof StatusError ? error.status : statuses[Failure.from(error).code];
}

const statuses: Readonly<Record<FailureCode, number>> = {
  not_found: 404,
  unavailable: 503,
  corrupt: 500,
  exhausted: 507,
  conflict: 409,
  invalid: 400,
  denied: 403,
  cancelled: 499,
  internal: 500,
};

/** The whole body of a request as text. Throws `invalid` when it is larger than `bytesMax`. */
export async function textOf(request: Http2ServerRequest, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new StatusError(413, `the body is larger than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
