/** What went wrong, as far as the next decision needs to know. The list is closed. */
export type FailureCode =
  | "not_found"
  | "unavailable"
  | "corrupt"
  | "exhausted"
  | "conflict"
  | "invalid"
  | "denied"
  | "cancelled"
  | "internal";

/**
 * The one error class for weather: things that go wrong although the program is right.
 * Bugs are `assert`ed instead. A message says what failed and never repeats its cause.
 */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly code: FailureCode;

  constructor(code: FailureCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /**
   * Turns anything thrown into a Failure, by these rules, the first that fits:
   * a Failure is itself; an abort is `cancelled`, or what its reason says; a timeout is `unavailable`;
   * a full disk or table is `exhausted`; a refused, reset or broken connection is `unavailable`;
   * a missing file is `not_found`; a permission is `denied`; all else is `internal`.
   */
  static from(error: unknown, message?: string): Failure {
    if (error instanceof Failure) return error;
    const text = message ?? (error instanceof Error ? error.message : String(error));
    return new Failure(codeOf(error), text, { cause: error });
  }

  /** True when `error` is a Failure of this code. */
  static is(error: unknown, code: FailureCode): error is Failure {
    return error instanceof Failure && error.code === code;
  }
}

function codeOf(error: unknown): FailureCode {
  if (!(error instanceof Error)) return "internal";
  if (error.name === "AbortError") return "cancelled";
  if (error.name === "TimeoutError") return "unavailable";
  const { code } = error as NodeJS.ErrnoException;
  return (code !== undefined && codeOfErrno.get(code)) || "internal";
}

const codeOfErrno = new Map<string, FailureCode>([
  ["ABORT_ERR", "cancelled"],
  ["ENOSPC", "exhausted"],
  ["EDQUOT", "exhausted"],
  ["EMFILE", "exhausted"],
  ["ENFILE", "exhausted"],
  ["ENOMEM", "exhausted"],
  ["ECONNREFUSED", "unavailable"],
  ["ECONNRESET", "unavailable"],
  ["EPIPE", "unavailable"],
  ["ETIMEDOUT", "unavailable"],
  ["EAI_AGAIN", "unavailable"],
  ["EIO", "unavailable"],
  ["ENOENT", "not_found"],
  ["EACCES", "denied"],
  ["EPERM", "denied"],
  ["EEXIST", "conflict"],
]);
