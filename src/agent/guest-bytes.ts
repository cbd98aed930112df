/** The memory of the machine at the other end of a channel, by the guest's own addresses. */
export interface GuestBytes extends AsyncDisposable {
  /** Whether bytes can be moved at once, without waiting for others to bring them first. */
  isAtHand(address: number, bytes: number): Promise<boolean>;
  /** Fills `into`. Throws where there is no memory. */
  readNow(address: number, into: Uint8Array): void;
  writeNow(address: number, bytes: Uint8Array): void;
}

export type OpenGuestBytes = () => Promise<GuestBytes>;
