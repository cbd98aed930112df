/** What is known of an object without reading it. */
export interface ObjectInfo {
  readonly key: string;
  readonly bytes: number;
  /** Changes whenever the object does. */
  readonly etag: string;
}

/** An object as a list shows it. */
export interface ListedObject extends ObjectInfo {
  /** When it was put, in milliseconds since the epoch, by the store's clock. */
  readonly modifiedAt: number;
}

/** A stretch of an object, in bytes. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** A file to be uploaded. It must not change meanwhile. */
export interface PutFile {
  readonly path: string;
  readonly bytes: number;
  /** Missing: what has been put of it when it fails is given up. */
  readonly resume?: Resume;
}

/** How a large file goes on to be put where that broke off, also by another process. */
export interface Resume {
  /** A file that is the bucket's own until all is put: beside the one that is put, and as lasting. */
  readonly noteAt: string;
  /** When this has aborted, what has been put stays for the next run; also when it cannot be removed. */
  readonly leaving: AbortSignal;
}

export interface PutOptions {
  /** `*`: only if there is no such object; else the put fails with `conflict`. */
  readonly ifNoneMatch?: "*";
}

export interface ListOptions {
  /** Keys after this one only. */
  readonly after?: string;
  /** At most so many, 1 … listLimitMax. */
  readonly limit?: number;
}

export interface ObjectPage {
  readonly objects: readonly ListedObject[];
  /** Present when there are more: the `after` of the next page. */
  readonly next?: string;
}

export const listLimitMax = 1000;

/**
 * Object storage. All methods throw a Failure: `not_found`, `conflict`, `unavailable`, `denied`, `exhausted`,
 * `invalid` for a key that is none, `corrupt` for an object that is shorter or longer than it said.
 */
export interface Bucket extends AsyncDisposable {
  /** Where it is, without secrets. */
  readonly name: string;
  head(key: string, signal: AbortSignal): Promise<ObjectInfo>;
  /**
   * The whole object, or exactly `range.length` bytes of it; a range beyond the end is `corrupt`. A piece belongs to
   * whoever reads until the next one is asked for: then its memory may be used again.
   */
  read(key: string, range: ByteRange | undefined, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** The object appears whole or not at all, and survives a crash once this resolves. */
  put(key: string, body: Uint8Array | PutFile, options: PutOptions, signal: AbortSignal): Promise<ObjectInfo>;
  /** Objects whose key starts with `prefix`, in lexical order of their keys' bytes. */
  list(prefix: string, options: ListOptions, signal: AbortSignal): Promise<ObjectPage>;
  /** Silent when there is no such object. */
  delete(key: string, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
