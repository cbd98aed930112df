import assert from "node:assert/strict";
import { it } from "node:test";
import { hasDefaultRoute, readSurroundings, sameSurroundings } from "./surroundings.ts";

const head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT";
const home = "eth0\t004DA8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0";
const way = "eth0\t00000000\t014DA8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0";

it("hasDefaultRoute finds a way out in the kernel's table, and none where there are only neighbours", () => {
  assert.equal(hasDefaultRoute([head, home, way].join("\n")), true);
  assert.equal(hasDefaultRoute([head, home].join("\n")), false);
  assert.equal(hasDefaultRoute(""), false);
});

it("readSurroundings says the same of a host that does not change", () => {
  const now = readSurroundings();
  assert.ok(sameSurroundings(now, readSurroundings()));
  assert.equal(sameSurroundings(now, { ...now, uplink: !now.uplink }), false);
});
