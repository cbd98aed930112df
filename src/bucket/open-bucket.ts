import { fileURLToPath } from "node:url";
import { Failure } from "../base/failure.ts";
import type { Bucket } from "./bucket.ts";
import { DirectoryBucket } from "./directory-bucket.ts";

/** Opens the bucket that a `file:///…` URL names. Throws `invalid` for any other. */
export function openBucket(url: string): Bucket {
  if (!URL.canParse(url)) throw new Failure("invalid", "the bucket is not named by a URL: use file:///path");
  const parsed = new URL(url);
  if (parsed.protocol === "s3:" || parsed.protocol === "gs:") {
    throw new Failure("invalid", `${parsed.protocol}// buckets are not supported yet: use file:///path`);
  }
  const plain =
    parsed.host === "" && parsed.search === "" && parsed.hash === "" && !/%2f/i.test(parsed.pathname);
  if (parsed.protocol !== "file:" || !plain || parsed.pathname === "/") {
    throw new Failure(
      "invalid",
      `'${withoutSecrets(parsed)}' is no bucket that can be opened: use file:///path`,
    );
  }
  return new DirectoryBucket(fileURLToPath(parsed));
}

/** What may stand in a message: no user, no password, no query. */
function withoutSecrets({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host}${pathname}`;
}
