/** What one export allows. Everything that a client can make grow has a bound here. */
export interface NbdLimits {
  /** Clients at once; one more is hung up on. */
  readonly connectionsMax: number;
  /** Length of one read, and of the payload of a write that is about to be refused. */
  readonly requestBytesMax: number;
  /**
   * Bytes of one connection that are being read by the device. When there are more, its requests are left in
   * the socket. One request may overshoot this and the next limit, so that any permitted request can be served.
   */
  readonly bytesInFlightMax: number;
  /** The same for reply bytes that the client has yet to take. A few socket buffers; more is only slower. */
  readonly bytesUntakenMax: number;
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
  bytesUntakenMax: 2 * 1024 * 1024,
  readsInFlightMax: 1024,
  optionBytesMax: 16 * 1024,
  optionsMax: 64,
  handshakeTimeoutMs: 10_000,
  readTimeoutMs: 60_000,
  drainTimeoutMs: 2_000,
};
