import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FailureCode } from "../../base/failure.ts";
import { failureOf, isExpired } from "./refusal.ts";

const asked = { what: "read builds/x", service: "S3", bucket: "s3://templates", rights: "s3:GetObject" };

describe("failureOf", () => {
  it("gives each answer the code that says what to do", () => {
    const expected: [number, string | undefined, FailureCode][] = [
      [404, "NoSuchKey", "not_found"],
      [404, undefined, "not_found"],
      [404, "NoSuchBucket", "not_found"],
      [409, "ConditionalRequestConflict", "conflict"],
      [412, "PreconditionFailed", "conflict"],
      [409, "OperationAborted", "unavailable"],
      [403, "AccessDenied", "denied"],
      [403, undefined, "denied"],
      [401, undefined, "denied"],
      [400, "ExpiredToken", "denied"],
      [416, "InvalidRange", "corrupt"],
      [400, "BadDigest", "unavailable"],
      [400, "RequestTimeout", "unavailable"],
      [408, undefined, "unavailable"],
      [429, undefined, "unavailable"],
      [500, "InternalError", "unavailable"],
      [503, "SlowDown", "unavailable"],
      [599, undefined, "unavailable"],
      [501, "NotImplemented", "invalid"],
      [400, "InvalidBucketName", "invalid"],
      [302, undefined, "invalid"],
    ];
    for (const [status, code, wanted] of expected)
      assert.equal(failureOf({ status, code, headers: new Map() }, asked).code, wanted, `${status} ${code}`);
  });

  it("says what to check", () => {
    const message = (status: number, code?: string, headers = new Map<string, string>()) =>
      failureOf({ status, code, headers }, asked).message;
    assert.match(message(403, "AccessDenied"), /check that the credentials allow s3:GetObject/);
    assert.match(message(403, "RequestTimeTooSkewed"), /check the clock of this machine/);
    assert.match(
      message(403, "SignatureDoesNotMatch"),
      /check the credentials, and that region and endpoint/,
    );
    assert.match(message(404, "NoSuchBucket"), /there is no bucket s3:\/\/templates: make it/);
    const moved = message(301, "PermanentRedirect", new Map([["x-amz-bucket-region", "eu-west-1"]]));
    assert.match(moved, /say region=eu-west-1 in LARDER_BUCKET/);
  });

  it("knows credentials that were good once", () => {
    const expired = (status: number, code?: string) => isExpired({ status, code, headers: new Map() });
    assert.deepEqual(
      [expired(400, "ExpiredToken"), expired(401), expired(403, "AccessDenied")],
      [true, true, false],
    );
  });
});
