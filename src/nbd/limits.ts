/** What one export allows. Everything that a client can make grow has a bound here. */
export interface NbdLimits {
  /** Clients at once; one more is hung up on. */
  readonly connectionsMax: number;
  /** Length of one read, and of the payload of a write that is about to be refused. */
  readonly requestBytesMax: number;
  /**
   * Reply bytes of one connection that are being read or wait to be taken. When there are more, its requests
   * are left in the socket. One request may overshoot it, so that any permitted request can be served.
   */
  readonly bytesInFlightMax: number;
  /** Reads of one connection that wait for the device. When there are more, requests are left in the socket. */
  readonly readsInFlightMax: number;
  /** Payload of one option of the handshake. */
  readonly optionBytesMax: number;
  /** Options in one handshake. */
  readonly optionsMax: number;
  /** From the connection to its first request. */
  readonly handshakeTimeoutMs: number;
  /** A read that the device has not answered by then fails. */
  readonly readTimeoutMs: number;
  /** How long a closing connection waits for its client to take the last replies. */
  readonly drainTimeoutMs: number;
}

export const defaultLimits: NbdLimits = {
  connectionsMax: 16,
  requestBytesMax: 32 * 1024 * 1024, // what QEMU and libnbd send at most
  bytesInFlightMax: 8 * 1024 * 1024,
  readsInFlightMax: 1024,
  optionBytesMax: 16 * 1024,
  optionsMax: 64,
  handshakeTimeoutMs: 10_000,
  readTimeoutMs: 60_000,
  drainTimeoutMs: 2_000,
};
