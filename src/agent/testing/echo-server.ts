import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

/** A server on this host that says what it is told. */
export async function echo(host = "127.0.0.1"): Promise<{ port: number; server: Server }> {
  const server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
    socket.pipe(socket);
    socket.on("error", () => {});
  });
  await once(server.listen(0, host), "listening");
  return { port: (server.address() as AddressInfo).port, server };
}
