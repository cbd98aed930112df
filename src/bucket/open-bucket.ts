import { fileURLToPath } from "node:url";
import { Failure } from "../base/failure.ts";
import type { Bucket } from "./bucket.ts";
import { DirectoryBucket } from "./directory-bucket.ts";
import { bucketUrlForms, parseLocation } from "./remote/bucket-location.ts";
import { type BucketGround, openRemoteBucket } from "./remote/open-remote-bucket.ts";

/** Opens the bucket that a URL names: a directory, or an object store. Throws `invalid` for any other. */
export function openBucket(url: string, ground: BucketGround): Bucket {
  const parsed = checkBucketUrl(url);
  if (parsed.protocol === "file:") return new DirectoryBucket(fileURLToPath(parsed));
  return openRemoteBucket(parseLocation(parsed), ground);
}

/** The URL of a bucket, if it is one. Throws `invalid` with a sentence that holds no secret. */
export function checkBucketUrl(url: string): URL {
  if (!URL.canParse(url))
    throw new Failure("invalid", `the bucket is not named by a URL: use ${bucketUrlForms}`);
  const parsed = new URL(url);
  if (parsed.protocol === "s3:" || parsed.protocol === "gs:") parseLocation(parsed);
  else if (!isDirectory(parsed))
    throw new Failure(
      "invalid",
      `'${withoutSecrets(parsed)}' is no bucket that can be opened: use ${bucketUrlForms}`,
    );
  return parsed;
}

function isDirectory({ hash, host, pathname, protocol, search }: URL): boolean {
  const plain = host === "" && search === "" && hash === "" && !/%2f/i.test(pathname);
  return protocol === "file:" && plain && pathname !== "/";
}

/** What may stand in a message: no user, no password, no query. */
function withoutSecrets({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host}${pathname}`;
}
