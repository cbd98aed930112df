import { addAbortSignal, type Readable } from "node:stream";
import type { ApiClient } from "./api-client.ts";

/** A message to the agent stays below what it takes at once, base64 included. */
const pieceBytesMax = 32 * 1024;

/** What one process in a sandbox is given. */
export class GuestInput {
  readonly #api: ApiClient;
  readonly #process: { readonly pid: number };
  readonly #headers: Readonly<Record<string, string>>;
  readonly #signal: AbortSignal;

  /** `headers` are those of a unary call to the agent. */
  constructor(api: ApiClient, pid: number, headers: Readonly<Record<string, string>>, signal: AbortSignal) {
    this.#api = api;
    this.#process = { pid };
    this.#headers = headers;
    this.#signal = signal;
  }

  /**
   * Passes `input` on, no faster than it is taken, and then its end, which at a terminal is a key; `input` is
   * destroyed when the signal aborts. Never rejects: whether the process misses anything shows in what it does.
   */
  async feed(input: Readable, as: "stdin" | "pty"): Promise<void> {
    try {
      for await (const bytes of addAbortSignal(this.#signal, input) as AsyncIterable<Uint8Array>) {
        for (let at = 0; at < bytes.length; at += pieceBytesMax) {
          const piece = Buffer.from(bytes.subarray(at, at + pieceBytesMax)).toString("base64");
          await this.#tell("SendInput", { input: { [as]: piece } });
        }
      }
      if (as === "stdin") await this.#tell("CloseStdin");
    } catch {
      // The process has ended, or takes no more, or this program is about to end.
    }
  }

  /** Never rejects: a size that did not arrive is made up for by the next one. */
  async resize(size: object): Promise<void> {
    await this.#tell("Update", { pty: { size } }).catch(() => "it has ended");
  }

  async #tell(call: "SendInput" | "CloseStdin" | "Update", more: object = {}): Promise<void> {
    const bytes = Buffer.from(JSON.stringify({ process: this.#process, ...more }));
    const raw = { headers: this.#headers, bytes };
    await this.#api.page({ method: "POST", path: `/process.Process/${call}`, raw }, this.#signal);
  }
}
