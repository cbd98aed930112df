import type { Clock } from "../../base/clock.ts";
import type { Header } from "../http/http-message.ts";
import type { Dialect } from "./dialect.ts";
import { type Provider, Renewed } from "./renewed.ts";

export interface GcsDialectOptions {
  readonly clock: Clock;
  /** Access tokens of OAuth 2.0. */
  readonly credentials: Provider<string>;
}

/** The XML API of Google Cloud Storage. */
export function gcsDialect({ clock, credentials }: GcsDialectOptions): Dialect {
  const token = new Renewed({ clock, fetch: credentials });
  return {
    service: "Google Cloud Storage",
    digest: "md5",
    ifAbsent: ["x-goog-if-generation-match", "0"],
    markHeader: "x-goog-meta-larder-put",
    rights:
      "storage.objects.get, .list, .create and .delete and storage.multipartUploads.create and .abort on it, as the " +
      "role Storage Object User has them",
    authorize: async (request, signal) => {
      const headers: Header[] = [...request.headers];
      if (request.bodyDigest !== undefined)
        headers.push(["content-md5", Buffer.from(request.bodyDigest, "hex").toString("base64")]);
      return [...headers, ["authorization", `Bearer ${await token.get(signal)}`]];
    },
    forget: () => token.forget(),
  };
}
