import { fileURLToPath } from "node:url";
import { Failure } from "../base/failure.ts";
import type { Bucket } from "./bucket.ts";
import { DirectoryBucket } from "./directory-bucket.ts";

/** Opens the bucket that a `file:///…` URL names. Throws `invalid` for any other. */
export function openBucket(url: string): Bucket {
  if (!URL.canParse(url)) throw new Failure("invalid", `'${url}' is no URL of a bucket: use file:///path`);
  const parsed = new URL(url);
  if (parsed.protocol === "s3:" || parsed.protocol === "gs:") {
    throw new Failure("invalid", `${parsed.protocol}// buckets are not supported yet: use file:///path`);
  }
  if (parsed.protocol !== "file:" || parsed.host !== "" || parsed.search !== "") {
    throw new Failure("invalid", `'${url}' is no bucket that can be opened: use file:///path`);
  }
  return new DirectoryBucket(fileURLToPath(parsed));
}
