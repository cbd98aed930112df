/**
 * The stream of bytes between the guest and whoever runs it: a virtio-serial port, or a socket that stands for one.
 * It never ends. While nobody is at the other end, nothing is read and writes wait.
 */
export interface Port {
  /** Calls `listener` with each read; the bytes are the listener's to keep. Called once. */
  listen(listener: (bytes: Buffer) => void): void;
  /** Calls `done` when all of `bytes` was handed over; writes are carried out in order. */
  write(bytes: Buffer, done: () => void): void;
}
