import { type ClientRequest, type ClientResponse, sendHead } from "./client-exchange.ts";

/** What is told of a way into a sandbox that leads nowhere: clients compare these bodies. */
interface Refusal {
  readonly code: number;
  readonly message: string;
  readonly sandboxId: string;
  readonly port?: number;
}

/** Makes clients say that the sandbox is gone, and its agent's health check false. */
export function sandboxGone(sandboxId: string): Refusal {
  return { sandboxId, message: "The sandbox was not found", code: 502 };
}

export function portClosed(sandboxId: string, port: number): Refusal {
  return { message: "The sandbox is running but port is not open", sandboxId, port, code: 502 };
}

/** By this header a client shows that it may enter a sandbox that is not public. */
export const trafficTokenHeader = "e2b-traffic-access-token";

export function tokenMissing(sandboxId: string): Refusal {
  return { sandboxId, message: `${secured} Token header '${trafficTokenHeader}' is missing`, code: 403 };
}

export function tokenWrong(sandboxId: string): Refusal {
  const message = `${secured} Provided token in header '${trafficTokenHeader}' is invalid`;
  return { sandboxId, message, code: 403 };
}

const secured = "Sandbox is secured with traffic access token.";

/** Answers a program with JSON, and a person with a page. */
export function answerRefusal(request: ClientRequest, response: ClientResponse, refusal: Refusal): void {
  if (isPerson(request)) answer(response, refusal.code, "text/html", pageOf(refusal));
  else answer(response, refusal.code, "application/json", JSON.stringify(refusal));
}

/** An error in the shape that all of the API uses. */
export function answerError(
  response: ClientResponse,
  code: number,
  message: string,
  more: readonly string[] = [],
): void {
  answer(response, code, "application/json", JSON.stringify({ code, message }), more);
}

function answer(
  response: ClientResponse,
  status: number,
  type: string,
  text: string,
  more: readonly string[] = [],
): void {
  sendHead(response, status, [
    ...["content-type", `${type}; charset=utf-8`],
    ...["content-length", String(Buffer.byteLength(text))],
    ...["cache-control", "no-store"],
    ...more,
  ]);
  response.end(text);
}

/** Who says what is wanted is taken at that word; else a browser is told by its name, as E2B does. */
function isPerson({ headers: { accept = "", "user-agent": agent = "" } }: ClientRequest): boolean {
  return accept.includes("text/html") || (/^mozilla/i.test(agent) && !accept.includes("json"));
}

/** Nothing of it was chosen by a client: an id is letters and digits. */
function pageOf({ code, message, sandboxId, port }: Refusal): string {
  const where = port === undefined ? sandboxId : `${sandboxId}, port ${port}`;
  const title = port !== undefined ? "Closed Port Error" : code === 502 ? "Sandbox Not Found" : message;
  return `<!doctype html>
<meta charset="utf-8">
<title>${title}</title>
<h1>${message}</h1>
<p>Sandbox ${where}</p>
`;
}
