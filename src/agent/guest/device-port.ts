import { openSync, read, readdirSync, readFileSync, readSync, write } from "node:fs";
import type { Foreign, Koffi } from "./foreign.ts";
import type { Port } from "./port.ts";

/** The name that the machine gives the agent's port. */
const portName = "agent";

/** While the host is away, the port reads as empty; there is nothing to wait on but time. */
const pollMs = 2;
const readBytes = 64 * 1024;
// From the kernel's uapi, poll.h.
const pollIn = 1;

/** Opens the agent's virtio-serial port. */
export function openDevicePort(koffi: Koffi): Port {
  const directory = "/sys/class/virtio-ports";
  const device = readdirSync(directory).find(
    (entry) => readFileSync(`${directory}/${entry}/name`, "utf8").trim() === portName,
  );
  if (device === undefined) throw new Error(`no virtio-serial port is called "${portName}"`);
  const fd = openSync(`/dev/${device}`, "r+");
  return new DevicePort(fd, readiness(koffi, fd));
}

/** Whether a read of `fd` would not wait (poll(2)). */
function readiness(koffi: Koffi, fd: number): () => boolean {
  const poll = koffi.load(null).func("int poll(void *, unsigned long, int)") as unknown as Foreign<
    [Buffer, number, number]
  >;
  // struct pollfd: the descriptor, the events that are asked for, those that were found
  const question = Buffer.alloc(8);
  question.writeInt32LE(fd, 0);
  question.writeInt16LE(pollIn, 4);
  return () => poll(question, 1, 0) === 1 && (question.readInt16LE(6) & pollIn) !== 0;
}

/**
 * A port by plain reads and writes: one blocking read at a time occupies one thread of Node's pool. Node's own pipe
 * handle must not be used: it takes the port's end-of-file, which only means that the host is away, for an end.
 */
class DevicePort implements Port {
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafeSlow(readBytes);
  readonly #queue: { bytes: Buffer; done: () => void }[] = [];
  readonly #isReady: () => boolean;
  #writing = false;

  constructor(fd: number, isReady: () => boolean) {
    this.#fd = fd;
    this.#isReady = isReady;
  }

  listen(listener: (bytes: Buffer) => void): void {
    const next = () => {
      read(this.#fd, this.#buffer, 0, readBytes, null, (error, count) => {
        if (error !== null || count === 0) {
          setTimeout(next, pollMs);
          return;
        }
        listener(Buffer.from(this.#buffer.subarray(0, this.#fill(count))));
        next();
      });
    };
    next();
  }

  /**
   * Takes what lies ready behind the first `filled` bytes. A read yields 4 KiB at most, and the way through Node's
   * pool and its streams costs an emulated machine many times what the read does.
   */
  #fill(filled: number): number {
    while (filled < readBytes && this.#isReady()) {
      const count = readSync(this.#fd, this.#buffer, filled, readBytes - filled, null);
      if (count === 0) break;
      filled += count;
    }
    return filled;
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
