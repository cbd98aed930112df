import { errno, version } from "./fuse-protocol.ts";
import { attributesBody, encodeReply, initBody, openBody, readBytesMax, statfsBody } from "./fuse-reply.ts";
import type { FuseRequest } from "./fuse-request.ts";

/** A read that has to be answered when its bytes are there. */
export interface FileRead {
  readonly unique: bigint;
  readonly thread: number;
  readonly offset: number;
  /** Never beyond the end of the file. */
  readonly bytes: number;
}

export type Answer =
  | { readonly kind: "reply"; readonly reply: Buffer }
  | { readonly kind: "read"; readonly read: FileRead }
  | { readonly kind: "none" };

/** The low bits of the flags of `open`: reading alone is 0. */
const accessMode = 3;
const none: Answer = { kind: "none" };

/** One file that can only be read, as the kernel gets to know it: what each request is answered with. */
export class OneFile {
  readonly #bytes: number;
  readonly #readaheadBytes: number;
  #opens = 0;

  constructor({ bytes, readaheadBytes }: { readonly bytes: number; readonly readaheadBytes: number }) {
    this.#bytes = bytes;
    this.#readaheadBytes = readaheadBytes;
  }

  /** How many have it open or mapped. */
  get opens(): number {
    return this.#opens;
  }

  answer(request: FuseRequest): Answer {
    const { unique } = request;
    const reply = (error: number, body?: Uint8Array): Answer => ({
      kind: "reply",
      reply: encodeReply(unique, error, body),
    });
    switch (request.kind) {
      case "init":
        return request.major < version.major
          ? reply(errno.invalid)
          : reply(0, initBody(this.#readaheadBytes));
      case "open":
        if ((request.flags & accessMode) !== 0) return reply(errno.readOnly);
        this.#opens += 1;
        return reply(0, openBody());
      case "read":
        return this.#read(request, request);
      case "release":
        this.#opens = Math.max(0, this.#opens - 1);
        return reply(0);
      case "getattr":
        return reply(0, attributesBody(this.#bytes));
      case "statfs":
        return reply(0, statfsBody());
      case "flush":
      case "access":
      case "destroy":
        return reply(0);
      case "note":
        return none;
      case "unknown":
        return reply(errno.noSystemCall);
    }
  }

  #read({ unique, thread }: FuseRequest, wish: { readonly offset: number; readonly bytes: number }): Answer {
    const { offset } = wish;
    if (wish.bytes > readBytesMax) return { kind: "reply", reply: encodeReply(unique, errno.invalid) };
    const bytes = Math.max(0, Math.min(wish.bytes, this.#bytes - offset));
    if (bytes === 0) return { kind: "reply", reply: encodeReply(unique, 0) };
    return { kind: "read", read: { unique, thread, offset, bytes } };
  }
}
