import { addAbortSignal, type Readable } from "node:stream";
import type { ApiClient } from "./api-client.ts";

/** A message to the agent stays below what it takes at once, base64 included. */
const pieceBytesMax = 32 * 1024;

export interface Feeding {
  /** Those of a unary call to the agent. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/**
 * Passes `input` on to a process in a sandbox, no faster than it is taken, and then its end; `input` is destroyed when
 * `signal` aborts. Never rejects: whether the process misses anything shows in what it does.
 */
export async function feedGuest(
  api: ApiClient,
  pid: number,
  input: Readable,
  { headers, signal }: Feeding,
): Promise<void> {
  const tell = async (call: "SendInput" | "CloseStdin", more: object = {}) => {
    const bytes = Buffer.from(JSON.stringify({ process: { pid }, ...more }));
    await api.page({ method: "POST", path: `/process.Process/${call}`, raw: { headers, bytes } }, signal);
  };
  try {
    for await (const bytes of addAbortSignal(signal, input) as AsyncIterable<Uint8Array>) {
      for (let at = 0; at < bytes.length; at += pieceBytesMax) {
        const stdin = Buffer.from(bytes.subarray(at, at + pieceBytesMax)).toString("base64");
        await tell("SendInput", { input: { stdin } });
      }
    }
    await tell("CloseStdin");
  } catch {
    // The process has ended, or takes no more, or this program is about to end.
  }
}
