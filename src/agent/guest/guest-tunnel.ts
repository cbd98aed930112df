import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { connect, type Socket } from "node:net";
import { pipeline } from "node:stream/promises";

/** Answers CONNECT with a TCP connection to a port of this machine, or with 502 when nobody listens there. */
export function serveTunnel(request: Http2ServerRequest, response: Http2ServerResponse): void {
  const { stream } = request;
  const port = Number(/^127\.0\.0\.1:(\d{1,5})$/.exec(request.authority)?.[1]);
  const refuse = (status: number) => {
    response.writeHead(status);
    response.end();
  };
  if (!(port >= 1 && port <= 65_535)) return refuse(400);
  const open = (hosts: readonly string[]) => {
    const [host, ...others] = hosts;
    if (host === undefined) return refuse(502);
    const socket: Socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    const giveUp = () => socket.destroy();
    const failed = () => open(others);
    socket.once("error", failed);
    stream.once("close", giveUp);
    socket.once("connect", () => {
      socket.off("error", failed);
      stream.off("close", giveUp);
      response.writeHead(200);
      join(request, socket);
    });
  };
  open(["127.0.0.1", "::1"]); // A server may listen on one of them only.
}

function join({ stream }: Http2ServerRequest, socket: Socket): void {
  stream.setMaxListeners(0); // Two pipelines hang on it, each with many listeners.
  const both = [pipeline(stream, socket), pipeline(socket, stream)];
  // When one direction breaks, pipeline has destroyed both ends; there is nobody left to tell.
  for (const direction of both) direction.catch(() => {});
}
