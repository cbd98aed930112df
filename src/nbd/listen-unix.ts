import { once } from "node:events";
import { chmod, unlink } from "node:fs/promises";
import { createConnection, type Server } from "node:net";
import { Failure } from "../base/failure.ts";

/** Longest path that the kernel takes for a Unix socket, without the final zero byte. */
const pathBytesMax = 107;

/**
 * Makes `server` listen at `path` with `mode`. A socket file that nobody listens at, left by a process that was
 * killed, is replaced. Throws `invalid` for a path that is too long, `conflict` when somebody listens there.
 */
export async function listenUnix(server: Server, path: string, mode: number): Promise<void> {
  const bytes = Buffer.byteLength(path);
  if (bytes > pathBytesMax) {
    throw new Failure("invalid", `socket path of ${bytes} bytes, ${pathBytesMax} are possible: ${path}`);
  }
  try {
    await listening(server, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw Failure.from(error);
    if (await isAnswered(path)) {
      throw new Failure("conflict", `somebody listens at ${path} already`, { cause: error });
    }
    await unlink(path);
    await listening(server, path);
  }
  await chmod(path, mode);
}

async function listening(server: Server, path: string): Promise<void> {
  server.listen(path);
  await once(server, "listening");
}

async function isAnswered(path: string): Promise<boolean> {
  const socket = createConnection(path);
  try {
    await once(socket, "connect");
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ECONNREFUSED") return false;
    throw Failure.from(error);
  } finally {
    socket.destroy();
  }
}
