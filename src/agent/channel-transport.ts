import type { Transport } from "@connectrpc/connect";
import { createTransport } from "@connectrpc/connect/protocol-connect";
import type { UniversalClientRequest, UniversalClientResponse } from "@connectrpc/connect/protocol";
import { buffer } from "node:stream/consumers";
import type { RequestChannel } from "./exchange.ts";

/** No message of a guest is taken that is larger than this. */
const messageBytesMax = 4 * 1024 * 1024;

/** The Connect protocol over a channel, for typed clients. */
export function channelTransport(channel: RequestChannel): Transport {
  return createTransport({
    baseUrl: "http://agent",
    httpClient: async (request) => await send(channel, request),
    useBinaryFormat: true,
    interceptors: [],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: Number.MAX_SAFE_INTEGER,
    readMaxBytes: messageBytesMax,
    writeMaxBytes: messageBytesMax,
  });
}

/** Requests are small, and none of them is a stream of many messages: each is sent in one piece. */
async function send(
  channel: RequestChannel,
  request: UniversalClientRequest,
): Promise<UniversalClientResponse> {
  const { method, url, header, body, signal } = request;
  const { pathname } = new URL(url);
  const answer = await channel.request(
    {
      method,
      path: pathname,
      headers: Object.fromEntries(header),
      ...(body === undefined ? {} : { body: await buffer(body) }),
    },
    signal ?? new AbortController().signal,
  );
  const fields = new Headers();
  for (const [name, value] of Object.entries(answer.headers)) fields.set(name, String(value));
  return { status: answer.status, header: fields, body: answer.body, trailer: new Headers() };
}
