import type { ServerResponse } from "node:http";

/**
 * The answers of the way to a sandbox that leads nowhere. Clients compare these bodies: the first one makes them say
 * that the sandbox is gone, and its agent's health check false.
 */
export function answerSandboxGone(response: ServerResponse, id: string): void {
  answerJson(response, 502, { sandboxId: id, message: "The sandbox was not found", code: 502 });
}

export function answerPortClosed(response: ServerResponse, id: string, port: number): void {
  const message = "The sandbox is running but port is not open";
  answerJson(response, 502, { message, sandboxId: id, port, code: 502 });
}

/** An error in the shape that all of the API uses. */
export function answerError(response: ServerResponse, code: number, message: string): void {
  answerJson(response, code, { code, message });
}

function answerJson(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
  });
  response.end(text);
}
