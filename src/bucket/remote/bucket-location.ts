import { Failure } from "../../base/failure.ts";
import { checkKey } from "../object-key.ts";

/** Where objects lie in an object store. */
export interface BucketLocation {
  readonly service: "s3" | "gs";
  readonly bucket: string;
  /** Before every key: empty, or with a slash at its end. */
  readonly prefix: string;
  /** Of another server than the provider's own. */
  readonly endpoint: URL | undefined;
  readonly region: string | undefined;
  /** The bucket's name stands in the path; else in front of the host. */
  readonly pathStyle: boolean;
}

/** What a bucket's URL may look like, for sentences. */
export const bucketUrlForms =
  "file:///path, s3://bucket/prefix?endpoint=&region=&pathStyle= or gs://bucket/prefix";

/** Both providers' rules, without those for names that are domains. */
const bucketPattern = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;
const parameters: Readonly<Record<BucketLocation["service"], readonly string[]>> = {
  s3: ["endpoint", "region", "pathStyle"],
  gs: ["endpoint"],
};

/**
 * Reads `s3://bucket/prefix?…` and `gs://bucket/prefix`. Throws `invalid` for what cannot be meant; it repeats
 * neither users nor passwords nor values of parameters, since somebody may have put a secret there.
 */
export function parseLocation(url: URL): BucketLocation {
  const service = url.protocol === "s3:" ? "s3" : "gs";
  const named = `${service}://${url.host}${url.pathname}`;
  if (url.username !== "" || url.password !== "" || url.port !== "")
    throw wrong(`${named} may hold no user, password or port: credentials come from the environment`);
  if (url.hash !== "") throw wrong(`${named} is followed by a '#'`);
  if (!bucketPattern.test(url.hostname)) throw wrong(`'${url.hostname}' is no name of a bucket`);
  for (const [name] of url.searchParams) {
    if (!parameters[service].includes(name) || url.searchParams.getAll(name).length > 1)
      throw wrong(`${named} has a parameter that is not known or given twice: ${name.slice(0, 40)}`);
  }
  const prefix = url.pathname.replace(/^\//, "").replace(/\/$/, "");
  if (prefix !== "") checkPrefixOf(named, prefix);
  const endpoint = endpointOf(url.searchParams.get("endpoint"));
  // The provider's certificate covers one name before its own; other servers often know no names before theirs.
  const usualPathStyle = endpoint !== undefined || service === "gs" || url.hostname.includes(".");
  return {
    ...{ service, bucket: url.hostname, prefix: prefix === "" ? "" : `${prefix}/`, endpoint },
    region: regionOf(url.searchParams.get("region")),
    pathStyle: pathStyleOf(url.searchParams.get("pathStyle")) ?? usualPathStyle,
  };
}

function checkPrefixOf(named: string, prefix: string): void {
  try {
    checkKey(prefix);
  } catch {
    throw wrong(`the prefix in ${named} is not made of letters, digits, '.', '_', '-' and single slashes`);
  }
}

function endpointOf(text: string | null): URL | undefined {
  if (text === null || text === "") return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain =
    url !== undefined &&
    /^https?:$/.test(url.protocol) &&
    `${url.username}${url.password}${url.search}${url.hash}` === "" &&
    url.pathname === "/";
  if (!plain) throw wrong("its endpoint must be like https://host:port, without anything behind it");
  return url;
}

function regionOf(text: string | null): string | undefined {
  if (text === null || text === "") return undefined;
  if (!/^[a-z0-9-]{1,40}$/.test(text)) throw wrong("its region must be like us-east-1");
  return text;
}

function pathStyleOf(text: string | null): boolean | undefined {
  if (text === null || text === "") return undefined;
  if (text !== "true" && text !== "false") throw wrong("its pathStyle must be true or false");
  return text === "true";
}

function wrong(why: string): Failure {
  return new Failure("invalid", `no bucket can be opened by this URL, because ${why}: use ${bucketUrlForms}`);
}
