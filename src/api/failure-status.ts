import type { FailureCode } from "../base/failure.ts";

/** What the client is told, by kind of failure. 499 is never seen by anybody: the client has gone. */
export const failureStatus: Readonly<Record<FailureCode, number>> = {
  not_found: 404,
  unavailable: 503,
  corrupt: 502,
  exhausted: 429,
  conflict: 409,
  invalid: 400,
  denied: 403,
  cancelled: 499,
  internal: 500,
};

/** Seconds after which a client that was told 429 may try again; clients expect an integer. */
export const retryAfterSeconds = 2;
