import type { ServerResponse } from "node:http";
import { Failure } from "../base/failure.ts";

/** Aborts when the client goes away before its answer is complete. */
export function clientSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  const onClose = () => {
    if (!response.writableFinished) controller.abort(new Failure("cancelled", "the client hung up"));
  };
  if (response.destroyed) onClose();
  else response.once("close", onClose);
  return controller.signal;
}
