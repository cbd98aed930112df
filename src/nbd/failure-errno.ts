import type { FailureCode } from "../base/failure.ts";
import { type Errno, errno } from "./protocol.ts";

/**
 * What a client is told when a read fails, by kind of failure. Whatever may pass is EIO: the VMM stops the
 * guest's disk and may try again.
 */
export const failureErrno: Readonly<Record<FailureCode, Errno>> = {
  not_found: errno.EIO,
  unavailable: errno.EIO,
  corrupt: errno.EIO,
  exhausted: errno.ENOMEM,
  conflict: errno.EIO,
  invalid: errno.EINVAL,
  denied: errno.EPERM,
  cancelled: errno.ESHUTDOWN,
  internal: errno.EIO,
};
