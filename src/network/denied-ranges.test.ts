import assert from "node:assert/strict";
import { BlockList } from "node:net";
import { describe, it } from "node:test";
import { deniedRanges } from "./denied-ranges.ts";

const card = { mac: "02:00:00:00:00:01", internal: false, netmask: "" };

/** Whether a guest is kept from an address. */
function denies(ranges: readonly string[], address: string): boolean {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = "", bits] = range.split("/");
    list.addSubnet(network, Number(bits));
  }
  return list.check(address);
}

describe("deniedRanges", () => {
  it("hold the networks at home, the provider's, the link's own, the loopback, and all that is not unicast", () => {
    const ranges = deniedRanges({});
    const denied = [
      "10.1.2.3",
      "172.16.0.1",
      "172.31.255.255",
      "192.168.0.1",
      "100.64.0.1",
      "100.127.255.255",
    ];
    denied.push("169.254.169.254", "127.0.0.1", "0.0.0.0", "224.0.0.251", "255.255.255.255", "198.18.0.1");
    for (const address of denied) assert.ok(denies(ranges, address), address);
    for (const address of [
      "1.1.1.1",
      "172.15.0.1",
      "172.32.0.1",
      "100.63.0.1",
      "100.128.0.1",
      "223.255.255.254",
    ])
      assert.equal(denies(ranges, address), false, address);
  });

  it("hold the networks that the host is a part of, which its neighbours have public addresses in", () => {
    const ranges = deniedRanges({
      eth0: [
        { ...card, family: "IPv4", address: "93.184.216.34", cidr: "93.184.216.34/24" },
        { ...card, family: "IPv6", address: "2001:db8::1", cidr: "2001:db8::1/64", scopeid: 0 },
      ],
      odd: [{ ...card, family: "IPv4", address: "8.8.8.8", cidr: null }],
    });
    assert.ok(denies(ranges, "93.184.216.34") && denies(ranges, "93.184.216.1"));
    assert.ok(denies(ranges, "8.8.8.8"), "its own address counts without a network, too");
    assert.equal(denies(ranges, "93.184.217.1"), false);
    assert.ok(
      ranges.every((range) => !range.includes(":")),
      "IPv6 is not let through at all",
    );
  });

  it("never hold everything, whatever an interface claims its network to be", () => {
    const ranges = deniedRanges({
      tunnel: [{ ...card, family: "IPv4", address: "5.6.7.8", cidr: "5.6.7.8/0" }],
    });
    assert.ok(denies(ranges, "5.6.7.8"));
    assert.equal(denies(ranges, "1.1.1.1"), false);
  });
});
