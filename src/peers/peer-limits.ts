/** What one node lets its peers cost it, and costs them. */
export interface PeerLimits {
  /** A peer that says nothing for so long has failed. */
  readonly silenceMsMax: number;
  /** A request for chunks takes no longer than this in all, however busy the peer seems. */
  readonly requestMsMax: number;
  /** How long the owner of a group lets others wait on its flight; less than `requestMsMax`. */
  readonly waitMsMax: number;
  /** The same two for an input, which comes whole. */
  readonly inputMsMax: number;
  readonly inputWaitMsMax: number;
  /** How often somebody who waits is told that it is still under way; a fraction of `silenceMsMax`. */
  readonly underWayMs: number;
  /** What is known of a peer's shelf is asked for anew when it is older. */
  readonly freshMs: number;
  /** First and longest time that a peer which failed is not asked. */
  readonly openMs: number;
  readonly openMsMax: number;
  /** Requests to one peer at once, and how many may wait for that. */
  readonly requestsMax: number;
  readonly requestsWaitingMax: number;
  /** Peers that are asked for one group before the bucket is. */
  readonly askedMax: number;
  /** Answers being sent at once; who comes then is told to go elsewhere. */
  readonly answersMax: number;
  /** Longest that an answer with chunks may take its reader, who holds a lease by it. */
  readonly answerMsMax: number;
  /** Builds of which is remembered what a peer has. */
  readonly buildsMax: number;
}

export const peerLimits: PeerLimits = {
  silenceMsMax: 3000,
  requestMsMax: 12_000,
  waitMsMax: 8000,
  inputMsMax: 90_000,
  inputWaitMsMax: 40_000,
  underWayMs: 300,
  freshMs: 1000,
  openMs: 1000,
  openMsMax: 60_000,
  requestsMax: 8,
  requestsWaitingMax: 64,
  askedMax: 4,
  answersMax: 256,
  answerMsMax: 30_000,
  buildsMax: 256,
};
