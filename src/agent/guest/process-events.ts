import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { Clock } from "../../base/clock.ts";
import type { ProcessEventSchema } from "../protocol/generated/process_pb.js";
import type { Subscription } from "./broadcast.ts";
import type { GuestProcess, ProcessEvent } from "./guest-process.ts";
import { keepaliveMsOf } from "./keepalive.ts";

type EventMessage = MessageInitShape<typeof ProcessEventSchema>;

/**
 * What one client is told of a process: that it started, all its output, how it ended; and a sign of life when there
 * was nothing else to say for as long as the client asked. The client's leaving, or its time-out, ends the telling.
 */
export async function* tell(
  process: GuestProcess,
  events: Subscription<ProcessEvent>,
  context: HandlerContext,
  clock: Clock,
): AsyncGenerator<{ event: EventMessage }> {
  const { signal } = context;
  const leave = () => {
    events[Symbol.dispose](); // At once: a process must not wait for a reader who is gone.
    events.interrupt();
  };
  signal.addEventListener("abort", leave);
  const keepaliveMs = keepaliveMsOf(context.requestHeader);
  try {
    yield { event: { event: { case: "start", value: { pid: process.pid } } } };
    for (;;) {
      signal.throwIfAborted();
      using _timer = clock.after(keepaliveMs, () => events.interrupt());
      const event = await events.next();
      signal.throwIfAborted();
      yield { event: messageOf(event) };
      if (event?.kind === "end") return;
    }
  } finally {
    signal.removeEventListener("abort", leave);
    events[Symbol.dispose]();
  }
}

/** The whole story of a process that has ended before the client asked. */
export function* tellEnded(process: GuestProcess): Generator<{ event: EventMessage }> {
  yield { event: { event: { case: "start", value: { pid: process.pid } } } };
  if (process.ended !== undefined) yield { event: { event: { case: "end", value: process.ended } } };
}

function messageOf(event: ProcessEvent | undefined): EventMessage {
  if (event === undefined) return { event: { case: "keepalive", value: {} } };
  if (event.kind === "end") return { event: { case: "end", value: event.ended } };
  return { event: { case: "data", value: { output: { case: event.kind, value: event.bytes } } } };
}
