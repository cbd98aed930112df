import { once } from "node:events";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { z } from "zod";
import { Failure, type FailureCode } from "../base/failure.ts";
import type { ApiPlace } from "./find-api.ts";

const errorBody = z.object({ message: z.string() });

const codeOfStatus = new Map<number, FailureCode>([
  [400, "invalid"],
  [401, "denied"],
  [403, "denied"],
  [404, "not_found"],
  [409, "conflict"],
  [429, "exhausted"],
  [502, "unavailable"],
  [503, "unavailable"],
]);

export interface Call {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is, with these headers instead of the API's. */
  readonly raw?: { readonly headers: Readonly<Record<string, string>>; readonly bytes: Buffer | Readable };
}

/** Speaks HTTP to a daemon, as any client would. */
export class ApiClient {
  readonly place: ApiPlace;

  constructor(place: ApiPlace) {
    this.place = place;
  }

  /** The answer's JSON, checked against `schema`. Throws a Failure with the daemon's own sentence. */
  async json<Schema extends z.ZodType>(
    schema: Schema,
    call: Call,
    signal: AbortSignal,
  ): Promise<z.output<Schema>> {
    return schema.parse((await this.page(call, signal)).body);
  }

  /** The same with the token of the page that follows. */
  async page(call: Call, signal: AbortSignal): Promise<{ body: unknown; next: string | undefined }> {
    const answer = await this.open(call, signal);
    const said = await text(answer);
    const next = answer.headers["x-next-token"];
    const body: unknown = said === "" ? undefined : JSON.parse(said);
    return { body, next: typeof next === "string" ? next : undefined };
  }

  /** The answer as a stream, once its status says that it is a good one. */
  async open({ method, path, body, raw }: Call, signal: AbortSignal): Promise<IncomingMessage> {
    const json = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = raw?.headers ?? {
      "x-api-key": this.place.apiKey,
      ...(json === undefined ? {} : { "content-type": "application/json" }),
    };
    const outgoing = httpRequest(`${this.place.url}${path}`, { method, headers, signal, agent: false });
    const answered = once(outgoing, "response").catch((error: unknown) => {
      signal.throwIfAborted();
      throw new Failure("unavailable", `${this.place.url} does not answer: ${String(error)}`, {
        cause: error,
      });
    });
    if (raw?.bytes instanceof Readable)
      raw.bytes.on("error", (error) => outgoing.destroy(error)).pipe(outgoing);
    else outgoing.end(raw?.bytes ?? json);
    const [answer] = (await answered) as [IncomingMessage];
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return answer;
    throw new Failure(codeOfStatus.get(status) ?? "internal", messageOf(await text(answer), status));
  }
}

function messageOf(said: string, status: number): string {
  try {
    return errorBody.parse(JSON.parse(said)).message;
  } catch {
    return `the daemon answered ${status}: ${said.slice(0, 200)}`;
  }
}
