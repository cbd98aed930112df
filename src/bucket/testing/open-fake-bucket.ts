import type { BucketParts } from "../remote/open-remote-bucket.ts";
import { assembleBucket } from "../remote/open-remote-bucket.ts";
import { parseLocation } from "../remote/bucket-location.ts";
import { gcsDialect } from "../remote/gcs-dialect.ts";
import type { RemoteBucket } from "../remote/remote-bucket.ts";
import type { AwsKeys } from "../remote/sign-v4.ts";
import { s3Dialect } from "../remote/s3-dialect.ts";

export interface FakeBucketOptions
  extends Pick<BucketParts, "clock" | "random" | "meter" | "changed" | "ca"> {
  readonly speaks: "s3" | "gs";
  /** Of the server. */
  readonly url: string;
  readonly prefix?: string;
  /** Other ones than the server knows. */
  readonly keys?: AwsKeys;
}

/** The keys that fakes and the test's own servers know. */
export const testKeys = { accessKeyId: "TESTKEY", secretAccessKey: "TESTSECRET" };

/** A bucket `templates` at some server, with credentials that need no provider. */
export function openFakeBucket(options: FakeBucketOptions): RemoteBucket {
  const { keys = testKeys, speaks, prefix = "", url, ...rest } = options;
  const location = parseLocation(new URL(`${speaks}://templates/${prefix}?endpoint=${url}`));
  const { clock } = rest;
  const region = "us-east-1";
  const dialect =
    speaks === "s3"
      ? s3Dialect({ clock, region, credentials: async () => ({ value: keys, expiresAt: undefined }) })
      : gcsDialect({ clock, credentials: async () => ({ value: "TESTKEY", expiresAt: undefined }) });
  return assembleBucket({ location, region, dialect, ...rest });
}
