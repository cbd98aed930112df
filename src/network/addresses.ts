/**
 * Each network is a world of its own, so all of them use the same addresses, out of the range that no network
 * outside can have: a guest keeps its address when it is restored, and nothing has to be told to it.
 */
export const addresses = {
  /** The guest's, as its second stage sets it, and its way out, which answers its questions of names too. */
  guest: "169.254.0.21",
  gateway: "169.254.0.22",
  /** Between the rules and the uplink. */
  inner: "169.254.1.2",
  uplink: "169.254.1.1",
  prefixBits: 30,
  /** The gateway's on the link: a guest that wakes in another network goes on sending to the one it knows. */
  gatewayLink: "52:54:00:12:34:57",
} as const;

/** The interface that the VMM opens, and the one that the uplink makes. */
export const tapName = "tap0";
export const uplinkName = "out0";
