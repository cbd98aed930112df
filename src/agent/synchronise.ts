import type { Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Random } from "../base/random.ts";
import { AnswerFinder, encodePreamble, nonceBytes } from "./protocol/preamble.ts";

/** The first pause between two preambles; it doubles each time, so that it outgrows any guest's latency. */
const pauseMsFirst = 250;
const pauseMsMax = 16_000;

interface Secrets {
  readonly secret: Buffer;
  readonly nextSecret: Buffer;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Sends preambles until the guest answers; resolves with what the guest sent after its answer.
 * The socket is left paused. When both secrets differ they take turns: the one who connected before us may have
 * gone before or after the guest changed over.
 */
export async function synchronise(socket: Socket, secrets: Secrets, signal: AbortSignal): Promise<Buffer> {
  signal.throwIfAborted();
  const { clock, random, secret, nextSecret } = secrets;
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const nonce = random.bytes(nonceBytes);
  const finder = new AnswerFinder(nonce);
  let timer: Disposable | undefined;
  const send = (turn: number) => {
    socket.write(encodePreamble(turn % 2 === 0 ? secret : nextSecret, { nonce, nextSecret }));
    timer = clock.after(Math.min(pauseMsFirst * 2 ** turn, pauseMsMax), () => send(turn + 1));
  };
  const onData = (bytes: Buffer) => {
    const after = finder.push(bytes);
    if (after === undefined) return;
    socket.pause();
    resolve(after);
  };
  const onClose = () => reject(new Failure("unavailable", "the guest's port was closed before it answered"));
  const onAbort = () => reject(signal.reason as Error);
  socket.on("data", onData);
  socket.on("close", onClose);
  signal.addEventListener("abort", onAbort);
  send(0);
  try {
    return await promise;
  } finally {
    timer?.[Symbol.dispose]();
    socket.off("data", onData);
    socket.off("close", onClose);
    signal.removeEventListener("abort", onAbort);
  }
}
