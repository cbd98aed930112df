import type { NetworkInterfaceInfo } from "node:os";

/**
 * Addresses that lead nowhere on the public internet: IANA's register of special-purpose IPv4 addresses, and what
 * is not unicast. Among them are the networks at home (RFC 1918), the provider's (RFC 6598), the link's own, where
 * clouds keep their metadata (169.254.169.254), and the host's loopback.
 */
const neverPublic = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
] as const;

/** Networks of the host with their addresses, as `os.networkInterfaces()` tells them. */
export type HostInterfaces = NodeJS.Dict<NetworkInterfaceInfo[]>;

/** A network of more than 2^24 addresses is none that the host shares with neighbours: a tunnel claims such. */
const networkBitsMin = 8;

/**
 * What a guest may not reach, in the notation of CIDR: all that is not public, and the networks that the host itself
 * is a part of, with public addresses too. Those hold the host's own addresses and its neighbours.
 */
export function deniedRanges(interfaces: HostInterfaces): string[] {
  const own = Object.values(interfaces).flatMap((each) => each ?? []);
  const networks = own.filter(({ family }) => family === "IPv4").map(networkOf);
  return [...new Set([...neverPublic, ...networks])];
}

function networkOf({ address, cidr }: NetworkInterfaceInfo): string {
  const isSmall = cidr !== null && Number(cidr.split("/")[1]) >= networkBitsMin;
  return isSmall ? cidr : `${address}/32`;
}
