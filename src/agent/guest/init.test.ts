import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../../base/failure.ts";
import { init } from "./init.ts";
import { KernelRandom } from "./kernel-random.ts";
import type { MachineIdentity } from "./machine-identity.ts";
import { Settings, type SettingValues } from "./settings.ts";

const now = Date.UTC(2026, 10, 25);
const good = {
  nowMs: String(now),
  entropy: Buffer.alloc(64, 5).toString("base64"),
  hostname: "i0123",
  bootId: "0b29aa0e-1111-4111-8111-0123456789ab",
  envVars: { A: "1" },
  accessToken: "secret",
  defaultUser: "user",
  defaultWorkdir: "/home/user",
};

/** Carries out `wanted` on a machine whose clock shows `clock`, and tells what was done to it. */
function done(wanted: object, clock = now) {
  const calls: [string, unknown][] = [];
  const note = (name: string) => (value: unknown) => void calls.push([name, value]);
  const identity: MachineIdentity = {
    now: () => clock,
    setClock: note("clock"),
    addEntropy: (bytes) => note("entropy")(bytes.length),
    setHostname: note("hostname"),
    setBootId: note("bootId"),
    setMachineId: note("machineId"),
    showFact: (name, value) => note("fact")(`${name}=${value}`),
  };
  const settings = new Settings("nobody");
  const kept: SettingValues[] = [];
  const inheritance = { keepSettings: (values: SettingValues) => void kept.push(values) };
  init(JSON.stringify(wanted), { identity, random: new KernelRandom(), settings, inheritance });
  return { calls, settings, kept };
}

describe("init", () => {
  it("feeds the generators before anything is drawn from them, and gives the machine names of its own", () => {
    const { calls } = done(good);
    assert.deepEqual(calls.slice(0, 3), [
      ["entropy", 64],
      ["hostname", "i0123"],
      ["bootId", good.bootId],
    ]);
    const ids = [calls[3], done(good).calls[3]];
    for (const id of ids) assert.match(String(id?.[1]), /^[0-9a-f]{32}$/);
    assert.notDeepEqual(ids[0], ids[1]);
  });

  it("sets a clock that is more than 50 ms late or 5 s early, and leaves any other alone", () => {
    const set = (clock: number) => done(good, clock).calls.some(([name]) => name === "clock");
    assert.deepEqual([now - 51, now - 50, now, now + 5000, now + 5001].map(set), [
      true,
      false,
      false,
      false,
      true,
    ]);
  });

  it("takes over token, environment, user and working directory", () => {
    const { accessToken, envVars, defaultUser, defaultWorkdir } = done(good).settings;
    assert.deepEqual(
      [accessToken, envVars, defaultUser, defaultWorkdir],
      ["secret", { A: "1" }, "user", "/home/user"],
    );
    const { accessToken: _, ...open } = good;
    assert.equal(done(open).settings.accessToken, undefined);
  });

  it("shows in files which sandbox this is, and nothing else of the environment", () => {
    const envVars = { E2B_SANDBOX: "true", E2B_SANDBOX_ID: "i1", E2B_TEMPLATE_ID: "t1", E2B_API_KEY: "own" };
    const shown = done({ ...good, envVars }).calls.filter(([name]) => name === "fact");
    const facts = ["E2B_SANDBOX=true", "E2B_SANDBOX_ID=i1", "E2B_TEMPLATE_ID=t1"];
    assert.deepEqual(
      shown,
      facts.map((fact) => ["fact", fact]),
    );
  });

  it("keeps for the agent that may come after it what it was told", () => {
    const { accessToken, envVars, defaultUser, defaultWorkdir } = good;
    assert.deepEqual(done(good).kept, [{ accessToken, envVars, defaultUser, defaultWorkdir }]);
  });

  it("passes over what a newer daemon says besides", () => {
    assert.equal(done({ ...good, somethingNew: 1 }).calls.length, 4);
  });

  it("refuses nonsense before anything is changed", () => {
    const bad = [
      { ...good, entropy: "AAAA" },
      { ...good, hostname: "a b" },
      { ...good, hostname: "x\n10.0.0.1 bank" },
      { ...good, bootId: "1" },
      { ...good, nowMs: "0" },
      { ...good, envVars: 3 },
      [],
    ];
    for (const each of bad)
      assert.throws(
        () => done(each),
        (error) => Failure.is(error, "invalid"),
      );
  });
});
