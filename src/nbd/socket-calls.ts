import type { Socket } from "node:net";
import koffi from "koffi";
import { Failure } from "../base/failure.ts";

/** From Linux's headers: send(2) without waiting and without a signal, the queue of a socket, a marked copy. */
const dontWaitNoSignal = 0x40 | 0x4000;
const socketOutQueue = 0x5411;
const duplicateCloseOnExec = 1030;
const socketLevel = 1;
const sendBuffer = 7;
const sendBufferForce = 32;

const libc = koffi.load(null);
type Call = (...args: unknown[]) => number;
const send = libc.func("int64_t send(int fd, void *bytes, size_t length, int flags)") as unknown as Call;
const sendfile = libc.func(
  "int64_t sendfile(int out, int in, void *offset, size_t length)",
) as unknown as Call;
const ioctl = libc.func("int ioctl(int fd, unsigned long request, void *answer)") as unknown as Call;
const setsockopt = libc.func(
  "int setsockopt(int fd, int level, int name, void *value, unsigned int length)",
) as unknown as Call;
const fcntl = libc.func("int fcntl(int fd, int command, int argument)") as unknown as Call;
const close = libc.func("int close(int fd)") as unknown as Call;

/** Bytes that the kernel took of `bytes` at once; 0 when it has no room, or the socket is broken. */
export function sendNow(socket: number, bytes: Buffer): number {
  return Math.max(0, send(socket, bytes, bytes.length, dontWaitNoSignal));
}

/**
 * Sends a stretch of a file without copying it: the socket holds the pages of the system's cache until the client
 * has read them. Returns the bytes taken, 0 when it took none: whoever goes on by reading and writing learns why.
 * Throws when the file has ended.
 */
export function sendFileNow(socket: number, file: number, position: number, length: number): number {
  const offset = new BigInt64Array([BigInt(position)]);
  const taken = sendfile(socket, file, offset, length);
  if (taken === 0) throw new Failure("corrupt", "a file is shorter than it was");
  return Math.max(0, taken);
}

/** How much the client has yet to take of what was sent. The unit is the kernel's own; 0 is nothing. */
export function untaken(socket: number): number {
  const answer = new Int32Array(1);
  return ioctl(socket, socketOutQueue, answer) === 0 ? (answer[0] ?? 0) : 0;
}

/** Lets a socket hold so much on its way, or what the system allows this user at most. */
export function widenSocket(socket: number, bytes: number): void {
  const value = Int32Array.of(bytes);
  if (setsockopt(socket, socketLevel, sendBufferForce, value, 4) !== 0)
    setsockopt(socket, socketLevel, sendBuffer, value, 4);
}

/** A second descriptor of the same socket, that programs started later do not inherit. */
export function duplicate(descriptor: number): number {
  const copy = fcntl(descriptor, duplicateCloseOnExec, 3);
  if (copy < 0) throw new Failure("exhausted", `a socket could not be duplicated: error ${koffi.errno()}`);
  return copy;
}

export function closeDescriptor(descriptor: number): void {
  close(descriptor);
}

/** The descriptor behind a socket. Node has it, and no documented way to it. */
export function descriptorOf(socket: Socket): number {
  const { fd } = (socket as unknown as { readonly _handle?: { readonly fd?: number } })._handle ?? {};
  if (fd === undefined || fd < 0) throw new Failure("internal", "a socket has no descriptor");
  return fd;
}
