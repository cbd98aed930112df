import type { Clock } from "../../base/clock.ts";
import type { Dialect } from "./dialect.ts";
import { type Provider, Renewed } from "./renewed.ts";
import { type AwsKeys, signV4 } from "./sign-v4.ts";

export interface S3DialectOptions {
  readonly clock: Clock;
  readonly region: string;
  readonly credentials: Provider<AwsKeys>;
}

/** S3 as AWS documents it and many others serve it. */
export function s3Dialect({ clock, credentials, region }: S3DialectOptions): Dialect {
  const keys = new Renewed({ clock, fetch: credentials });
  return {
    service: "S3",
    digest: "sha256",
    ifAbsent: ["if-none-match", "*"],
    markHeader: "x-amz-meta-larder-put",
    rights:
      "s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on its objects, and s3:ListBucket on " +
      "itself (without which a missing object is answered like this, too)",
    authorize: async (request, signal) =>
      signV4(request, await keys.get(signal), { region, now: clock.now() }),
    forget: () => keys.forget(),
  };
}
