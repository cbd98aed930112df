import { openSync, read, readdirSync, readFileSync, write } from "node:fs";
import type { Port } from "./port.ts";

/** The name that the machine gives the agent's port. */
const portName = "agent";

/** While the host is away, the port reads as empty; there is nothing to wait on but time. */
const pollMs = 2;
const readBytes = 64 * 1024;

/** Opens the agent's virtio-serial port. */
export function openDevicePort(): Port {
  const directory = "/sys/class/virtio-ports";
  const device = readdirSync(directory).find(
    (entry) => readFileSync(`${directory}/${entry}/name`, "utf8").trim() === portName,
  );
  if (device === undefined) throw new Error(`no virtio-serial port is called "${portName}"`);
  return new DevicePort(openSync(`/dev/${device}`, "r+"));
}

/**
 * A port by plain reads and writes: one blocking read at a time occupies one thread of Node's pool. Node's own pipe
 * handle must not be used: it takes the port's end-of-file, which only means that the host is away, for an end.
 */
class DevicePort implements Port {
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafeSlow(readBytes);
  readonly #queue: { bytes: Buffer; done: () => void }[] = [];
  #writing = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  listen(listener: (bytes: Buffer) => void): void {
    const next = () => {
      read(this.#fd, this.#buffer, 0, readBytes, null, (error, count) => {
        if (error !== null || count === 0) {
          setTimeout(next, pollMs);
          return;
        }
        listener(Buffer.from(this.#buffer.subarray(0, count)));
        next();
      });
    };
    next();
  }

  write(bytes: Buffer, done: () => void): void {
    this.#queue.push({ bytes, done });
    if (!this.#writing) this.#writeNext();
  }

  #writeNext(): void {
    const first = this.#queue.shift();
    this.#writing = first !== undefined;
    if (first === undefined) return;
    let offset = 0;
    const step = () => {
      write(this.#fd, first.bytes, offset, first.bytes.length - offset, null, (error, count) => {
        if (error !== null) {
          setTimeout(step, pollMs);
          return;
        }
        offset += count;
        if (offset < first.bytes.length) return step();
        first.done();
        this.#writeNext();
      });
    };
    step();
  }
}
