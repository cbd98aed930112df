import { Failure } from "../base/failure.ts";
import { type ClientResponse, isComplete, sinkOf } from "./client-exchange.ts";

/** Aborts when the client goes away before its answer is complete. */
export function clientSignal(response: ClientResponse): AbortSignal {
  const controller = new AbortController();
  const onClose = () => {
    if (!isComplete(response)) controller.abort(new Failure("cancelled", "the client hung up"));
  };
  if (sinkOf(response).destroyed) onClose();
  else response.once("close", onClose);
  return controller.signal;
}
