import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { addresses } from "./addresses.ts";
import { interfaceCommands, networkRules } from "./network-rules.ts";
import { uplinkCommand, uplinkPidFile } from "./uplink.ts";

/** What a chain says, line by line. */
function chain(rules: string, name: string): string[] {
  const body = new RegExp(`chain ${name} \\{\\n([^}]*(?:\\{[^}]*\\}[^}]*)*?)\\n  \\}`).exec(rules)?.[1] ?? "";
  return body.split("\n").map((line) => line.trim());
}

describe("networkRules", () => {
  const rules = networkRules(["10.0.0.0/8", "93.184.216.0/24"]);

  it("let nothing pass that they do not name, nor reach the network's own side", () => {
    for (const name of ["forward", "input"]) assert.match(chain(rules, name)[0] ?? "", /policy drop;$/);
  });

  it("refuse what is denied before they let anything out", () => {
    const forward = chain(rules, "forward");
    const refused = forward.indexOf("ip daddr @denied reject with icmp admin-prohibited");
    assert.ok(refused > 0 && refused < forward.indexOf("oifname out0 accept"));
    assert.match(rules, /elements = \{ 10\.0\.0\.0\/8, 93\.184\.216\.0\/24 \}/);
  });

  it("let no program in the network speak: the VMM has nothing to say there but for its guest", () => {
    assert.ok(chain(rules, "output").includes("meta skuid 0-4294967294 drop"));
  });

  it("come with a gateway that is the same on every link, for guests that wake up in another network", () => {
    assert.ok(interfaceCommands.includes("link set tap0 address 52:54:00:12:34:57\n"));
  });

  it("are for the address that the guest gives itself when it boots", () => {
    const file = path.join(import.meta.dirname, "../template/guest/second-stage");
    const script = readFileSync(file, "utf8");
    const { guest, gateway, prefixBits } = addresses;
    assert.ok(script.includes(`ip addr add ${guest}/${prefixBits} dev eth0`));
    assert.ok(script.includes(`ip route add default via ${gateway}`));
    assert.ok(script.includes(`nameserver ${gateway}`));
  });
});

describe("uplinkCommand", () => {
  it("gives no way to the host's loopback, and none back in", () => {
    const place = {
      directory: "/run/net-1",
      userNamespace: "/proc/1/ns/user",
      netNamespace: "/proc/1/ns/net",
    };
    const command = uplinkCommand(place);
    assert.ok(command.includes("--no-map-gw") && command.includes("--ipv4-only"));
    for (const ports of ["--tcp-ports", "--udp-ports", "--tcp-ns", "--udp-ns"])
      assert.equal(command[command.indexOf(ports) + 1], "none", ports);
    assert.ok(command.includes(uplinkPidFile("/run/net-1")), "it is found by this argument");
  });
});
