import { once } from "node:events";
import { createServer } from "node:net";
import { Failure } from "../base/failure.ts";

/**
 * Throws, with what to change, when nobody could listen at this address now: better heard before minutes of work than
 * after them.
 */
export async function claimAddress(host: string, port: number): Promise<void> {
  const server = createServer().listen({ host, port });
  try {
    await once(server, "listening");
  } catch (error) {
    throw whyNot(error, host, port);
  }
  server.close();
  await once(server, "close");
}

function whyNot(error: unknown, host: string, port: number): Failure {
  const { code } = error as NodeJS.ErrnoException;
  const options = { cause: error };
  if (code === "EADDRINUSE") {
    const message = `port ${port} of ${host} is in use: set LARDER_PORT to another one, or stop who has it`;
    return new Failure("conflict", message, options);
  }
  if (code === "EACCES")
    return new Failure("denied", `this user may not listen at port ${port}: set LARDER_PORT`, options);
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
    return new Failure("invalid", `LARDER_HOST is '${host}', which is no address of this machine`, options);
  }
  return Failure.from(error);
}
