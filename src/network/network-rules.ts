import { addresses, tapName, uplinkName } from "./addresses.ts";

/**
 * What passes between a guest and the uplink, in the language of nft(8). Only IPv4 is let through. Questions of names
 * go to the uplink, which passes them on to the host's own resolver; the answer to what is refused says so at once.
 */
export function networkRules(denied: readonly string[]): string {
  const { guest, gateway, uplink } = addresses;
  return `table inet larder {
  set denied {
    type ipv4_addr; flags interval; auto-merge;
    elements = { ${denied.join(", ")} }
  }
  chain names {
    type nat hook prerouting priority dstnat;
    iifname ${tapName} ip daddr ${gateway} meta l4proto { tcp, udp } th dport 53 dnat ip to ${uplink}
  }
  chain source {
    type nat hook postrouting priority srcnat;
    oifname ${uplinkName} masquerade
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname != ${tapName} drop
    ip saddr != ${guest} drop
    ct status dnat accept
    meta nfproto ipv6 drop
    ip daddr @denied reject with icmp admin-prohibited
    oifname ${uplinkName} accept
  }
  chain input {
    type filter hook input priority filter; policy drop;
    iifname ${tapName} icmp type echo-request accept
  }
  chain output {
    type filter hook output priority filter; policy accept;
    meta skuid 0-4294967294 drop
  }
}`;
}

/** The interface of the guest's side, as a batch of ip(8). */
export const interfaceCommands = `link set lo up
tuntap add dev ${tapName} mode tap
link set ${tapName} address ${addresses.gatewayLink}
addr add ${addresses.gateway}/${addresses.prefixBits} dev ${tapName}
link set ${tapName} up
`;
