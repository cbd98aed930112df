import type { Duplex } from "node:stream";
import { Failure } from "../base/failure.ts";
import { bindToSignal, headOf, type OpenStream } from "./exchange.ts";

/** A connection to a TCP port in the guest, by CONNECT. `signal` governs the connecting only. */
export async function openTunnel(open: OpenStream, port: number, signal: AbortSignal): Promise<Duplex> {
  signal.throwIfAborted();
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Failure("invalid", `${port} is no TCP port`);
  }
  const stream = open({ ":method": "CONNECT", ":authority": `127.0.0.1:${port}` }, false);
  const connecting = new AbortController();
  const onAbort = () => connecting.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  bindToSignal(stream, connecting.signal);
  try {
    const answer = await headOf(stream, `a connection to port ${port}`, connecting.signal);
    if (answer[":status"] === 200) return stream;
    stream.destroy();
    throw new Failure("not_found", `nobody listens on port ${port} of the guest`);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
