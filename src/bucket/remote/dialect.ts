import type { Header } from "../http/http-message.ts";
import type { Unsigned } from "./sign-v4.ts";

/** In what the object stores differ. Otherwise Google's XML API speaks as S3 does. */
export interface Dialect {
  /** What the service is called in sentences. */
  readonly service: string;
  /** The digest of a body that `authorize` takes. */
  readonly digest: "sha256" | "md5";
  /** Put only if there is no such object. */
  readonly ifAbsent: Header;
  /** Metadata that is stored with an object: who put it. */
  readonly markHeader: string;
  /** What to check when the service says no to somebody who is known. */
  readonly rights: string;
  /** All headers to send: those given, and what proves who asks and that the body is whole. */
  authorize(request: Unsigned, signal: AbortSignal): Promise<readonly Header[]>;
  /** The credentials were refused as too old: the next request takes others. */
  forget(): void;
}
