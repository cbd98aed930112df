import { Failure } from "../../base/failure.ts";

/** An answer that is no success. */
export interface Refusal {
  readonly status: number;
  /** The service's own word for it, such as `NoSuchKey`; undefined when it gave none. */
  readonly code: string | undefined;
  readonly headers: ReadonlyMap<string, string>;
}

/** Who said it, and to what. */
export interface Asked {
  /** What was to be done, for a sentence: `read builds/x`. */
  readonly what: string;
  readonly service: string;
  /** The bucket's name, without secrets. */
  readonly bucket: string;
  /** What the credentials must allow. */
  readonly rights: string;
}

/** Words for credentials that were good once. */
const expired = new Set(["ExpiredToken", "InvalidToken", "TokenRefreshRequired"]);
/** Words that mean, whatever the status, that another try may succeed; the last three: bytes changed on the way. */
const passing = new Set([
  ...["RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "OperationAborted"],
  ...["BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"],
]);

/** Credentials that were good once: with new ones the request may succeed. */
export function isExpired({ code, status }: Refusal): boolean {
  return (code !== undefined && expired.has(code)) || (status === 401 && code === undefined);
}

/**
 * What a refusal means. The message of the service is not repeated: it may quote what was signed, and with what. Of
 * its answer only the status and the code are.
 */
export function failureOf(refusal: Refusal, asked: Asked): Failure {
  const { code, headers, status } = refusal;
  const { bucket, service, what } = asked;
  const said = code === undefined ? String(status) : `${status} ${code}`;
  if (code === "NoSuchBucket")
    return new Failure("not_found", `there is no bucket ${bucket}: make it, or correct LARDER_BUCKET`);
  if (code === "RequestTimeTooSkewed") return denied(asked, said, "the clock of this machine");
  if (isExpired(refusal) || status === 401)
    return denied(asked, said, "whether the credentials are still good");
  if (code === "InvalidAccessKeyId" || code === "SignatureDoesNotMatch")
    return denied(asked, said, "the credentials, and that region and endpoint are those of the bucket");
  if (status === 301 || status === 307 || code === "AuthorizationHeaderMalformed") {
    const region = /^[a-z0-9-]{1,40}$/.exec(headers.get("x-amz-bucket-region") ?? "")?.[0] ?? "…";
    return new Failure(
      "invalid",
      `${bucket} lies elsewhere (${said}): say region=${region} in LARDER_BUCKET`,
    );
  }
  if (status === 403) return denied(asked, said, `that the credentials allow ${asked.rights}`);
  if (passing.has(code ?? "")) return passed(asked, said);
  if (status === 404) return new Failure("not_found", `the bucket has nothing to ${what} (${said})`);
  if (status === 409 || status === 412)
    return new Failure("conflict", `${what}: there is such an object already, or it was changed (${said})`);
  if (status === 416) return new Failure("corrupt", `${what}: the object ends before that`);
  if (status === 408 || status === 429 || (status >= 500 && status !== 501)) return passed(asked, said);
  return new Failure("invalid", `${service} does not know how to ${what} (${said})`);
}

function passed({ service, what }: Asked, said: string): Failure {
  return new Failure("unavailable", `${service} could not ${what} (${said})`);
}

function denied({ bucket, service, what }: Asked, said: string, check: string): Failure {
  return new Failure("denied", `${service} refused to ${what} in ${bucket} (${said}): check ${check}`);
}
