import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, read, writeSync } from "node:fs";
import { Failure } from "../../base/failure.ts";
import { requestBytesMax } from "../fuse-protocol.ts";
import { encodeStore, readBytesMax } from "../fuse-reply.ts";

export interface FuseDeviceOptions {
  /** An empty file that the other one is laid over. */
  readonly mountPoint: string;
  readonly onRequest: (request: Buffer) => void;
}

/** The kernel's end of one mounted file. Each reader holds a thread of the pool, for as long as there is a mount. */
export class FuseDevice {
  /** Resolves when nobody has the file mounted any more. */
  readonly ended: Promise<void>;
  readonly #descriptor: number;
  readonly #onRequest: (request: Buffer) => void;

  private constructor(descriptor: number, onRequest: (request: Buffer) => void) {
    this.#descriptor = descriptor;
    this.#onRequest = onRequest;
    this.ended = Promise.all(Array.from({ length: readers }, () => this.#read())).then(() => {});
  }

  /** Throws `unavailable` with the reason where this cannot be had. */
  static async mount({ mountPoint, onRequest }: FuseDeviceOptions): Promise<FuseDevice> {
    let descriptor: number;
    try {
      descriptor = openSync("/dev/fuse", "r+");
    } catch (error) {
      throw new Failure("unavailable", `/dev/fuse cannot be opened: ${Failure.from(error).message}`);
    }
    // The file must be readable for the users that machines run as; its directory lets nobody else near.
    const options =
      "fd=3,rootmode=100444,user_id=0,group_id=0,default_permissions,allow_other," +
      `max_read=${readBytesMax},ro,nosuid,nodev,noexec`;
    const args = ["-i", "-t", "fuse", "-o", options, "larder", mountPoint];
    const mount = spawn("mount", args, { stdio: ["ignore", "ignore", "pipe", descriptor] });
    let words = "";
    mount.stderr?.on("data", (piece: Buffer) => (words += String(piece)));
    const [code] = (await once(mount, "close").catch((error: unknown) => [String(error)])) as [unknown];
    if (code === 0) return new FuseDevice(descriptor, onRequest);
    closeSync(descriptor);
    throw new Failure("unavailable", `a file cannot be mounted: ${words.trim() || String(code)}`);
  }

  /** Whoever waits for it was ended or has given up when the kernel does not take it. */
  reply(reply: Buffer): void {
    this.#write(reply, ["ENOENT", "ENODEV"]);
  }

  /** Gives the kernel bytes of the file before it asks for them: whole pages. It may not have room for them. */
  store(offset: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += storeBytesMax)
      this.#write(encodeStore(offset + at, bytes.subarray(at, at + storeBytesMax)), ["ENOMEM", "ENODEV"]);
  }

  #write(message: Buffer, mayFailBy: readonly string[]): void {
    try {
      writeSync(this.#descriptor, message);
    } catch (error) {
      if (!mayFailBy.includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    }
  }

  async #read(): Promise<void> {
    const buffer = Buffer.allocUnsafe(requestBytesMax);
    for (;;) {
      const bytes = await this.#next(buffer);
      if (bytes === undefined) return;
      this.#onRequest(buffer.subarray(0, bytes));
    }
  }

  /** Undefined when the mount is no more. */
  #next(buffer: Buffer): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      const attempt = () =>
        read(this.#descriptor, buffer, 0, buffer.length, null, (error, bytes) => {
          if (error === null) return resolve(bytes);
          if (error.code === "ENODEV") return resolve(undefined);
          // The request was called off before it could be read.
          if (error.code === "ENOENT" || error.code === "EINTR" || error.code === "EAGAIN") return attempt();
          reject(error);
        });
      attempt();
    });
  }
}

/** The kernel is kept from nothing else for long. */
const storeBytesMax = 1024 * 1024;
/** One reads while what the other has read is being answered. */
const readers = 2;
