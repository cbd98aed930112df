import type { Clock } from "../../base/clock.ts";
import type { Meter } from "../../base/meter.ts";
import type { Random } from "../../base/random.ts";
import { HttpClient } from "../http/http-client.ts";
import { originOf } from "../http/origin.ts";
import { awsCredentials } from "./aws-credentials.ts";
import type { BucketLocation } from "./bucket-location.ts";
import type { Dialect } from "./dialect.ts";
import { gcsDialect } from "./gcs-dialect.ts";
import { googleCredentials } from "./google-credentials.ts";
import { RemoteBucket } from "./remote-bucket.ts";
import { Retries, usualRetries } from "./retries.ts";
import { s3Dialect } from "./s3-dialect.ts";
import { StoreClient } from "./store-client.ts";

export interface BucketGround {
  readonly clock: Clock;
  readonly random: Random;
  readonly meter: Meter;
  /** Where AWS_REGION may stand. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Limits of the path to an object store. They are below the patience of those who read chunks. */
const limits = {
  http: { connectMsMax: 3_000, stallMsMax: 5_000 },
  answerMsMax: { read: 5_000, write: 60_000 },
  connectionsMax: 32,
  waitersMax: 10_000,
  /** Servers close what is idle after some tens of seconds: we are first. */
  idleMsMax: 15_000,
  partBytes: 16 * 1024 * 1024,
  retries: usualRetries,
};

/** Opens a bucket of an object store with the credentials that its provider's programs would use. Connects later. */
export function openRemoteBucket(location: BucketLocation, ground: BucketGround): RemoteBucket {
  const { clock, environment, random, meter } = ground;
  const region =
    location.region ?? environment["AWS_REGION"] ?? environment["AWS_DEFAULT_REGION"] ?? "us-east-1";
  const dialect =
    location.service === "s3"
      ? s3Dialect({ clock, region, credentials: awsCredentials(region) })
      : gcsDialect({ clock, credentials: googleCredentials(clock) });
  return assembleBucket({ location, region, dialect, clock, random, meter });
}

export interface BucketParts extends Omit<BucketGround, "environment"> {
  readonly location: BucketLocation;
  readonly region: string;
  readonly dialect: Dialect;
  /** Certificates to trust instead of the system's. */
  readonly ca?: string;
  /** What tests set otherwise. */
  readonly changed?: Partial<typeof limits>;
}

/** Puts the parts of a bucket together. */
export function assembleBucket(parts: BucketParts): RemoteBucket {
  const { ca, clock, dialect, location, meter, random, region } = parts;
  const {
    answerMsMax,
    http: httpLimits,
    partBytes,
    retries: retryLimits,
    ...pool
  } = { ...limits, ...parts.changed };
  const url = urlOf(location, region);
  const origin = { ...originOf(url), ...(ca === undefined ? {} : { ca }) };
  const http = new HttpClient({ origin, clock, limits: httpLimits, ...pool });
  const client = new StoreClient({ http, host: url.host, location, dialect, answerMsMax });
  const retries = new Retries({ clock, random, meter, limits: retryLimits });
  return new RemoteBucket({ location, http, client, retries, partBytes });
}

/** The server that is spoken to; without an endpoint the provider's own. */
function urlOf({ bucket, endpoint, pathStyle, service }: BucketLocation, region: string): URL {
  const own = service === "s3" ? `https://s3.${region}.amazonaws.com` : "https://storage.googleapis.com";
  const url = new URL(endpoint ?? own);
  if (!pathStyle) url.hostname = `${bucket}.${url.hostname}`;
  return url;
}
