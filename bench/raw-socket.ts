import koffi from "koffi";

const libc = koffi.load(null);
type Call = (...args: unknown[]) => number;
const socket = libc.func("int socket(int domain, int type, int protocol)") as unknown as Call;
const connect = libc.func("int connect(int fd, void *address, unsigned int length)") as unknown as Call;
const recv = libc.func("int64_t recv(int fd, void *bytes, size_t length, int flags)") as unknown as Call;
const send = libc.func("int64_t send(int fd, void *bytes, size_t length, int flags)") as unknown as Call;
const poll = libc.func("int poll(void *descriptors, unsigned long count, int timeout)") as unknown as Call;
const close = libc.func("int close(int fd)") as unknown as Call;

/** A Unix socket whose calls block, without the runtime between. */
export class RawSocket {
  readonly descriptor: number;

  constructor(path: string) {
    this.descriptor = checked(socket(1, 1, 0), "socket");
    const address = Buffer.alloc(110);
    address.writeUInt16LE(1, 0);
    address.write(path, 2);
    checked(connect(this.descriptor, address, address.length), "connect");
  }

  send(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; )
      at += checked(send(this.descriptor, bytes.subarray(at), bytes.length - at, 0), "send");
  }

  /** Bytes that were received to the front of `into`, at least one. */
  receive(into: Buffer): number {
    const bytes = checked(recv(this.descriptor, into, into.length, 0), "recv");
    if (bytes === 0) throw new Error("the server hung up");
    return bytes;
  }

  receiveExactly(bytes: number): Buffer {
    const into = Buffer.alloc(bytes);
    for (let at = 0; at < bytes; ) at += this.receive(into.subarray(at));
    return into;
  }

  close(): void {
    close(this.descriptor);
  }
}

/** Waits until there is something to be received, and says at which of them. */
export function waitForAny(descriptors: readonly number[]): number[] {
  const polled = Buffer.alloc(8 * descriptors.length);
  for (const [i, descriptor] of descriptors.entries()) {
    polled.writeInt32LE(descriptor, 8 * i);
    polled.writeInt16LE(1, 8 * i + 4);
  }
  checked(poll(polled, descriptors.length, -1), "poll");
  return [...descriptors.keys()].filter((i) => polled.readInt16LE(8 * i + 6) !== 0);
}

function checked(result: number, call: string): number {
  if (result < 0) throw new Error(`${call}: error ${koffi.errno()}`);
  return result;
}
