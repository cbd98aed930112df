import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { settled, VirtualClock } from "../../base/testing/virtual-clock.ts";
import { Renewed } from "./renewed.ts";

const never = new AbortController().signal;
const minute = 60_000;

describe("Renewed", () => {
  it("fetches once for all who ask, and anew some minutes before the end, without anybody waiting", async () => {
    const { clock, renewed, scene } = make();
    assert.deepEqual(await Promise.all([renewed.get(never), renewed.get(never)]), ["secret 1", "secret 1"]);
    await clock.advance(54 * minute);
    assert.equal(await renewed.get(never), "secret 1");
    assert.equal(scene.fetched, 1);
    await clock.advance(2 * minute);
    assert.equal(await renewed.get(never), "secret 1", "still good");
    await settled();
    assert.equal(await renewed.get(never), "secret 2");
    assert.equal(scene.fetched, 2);
  });

  it("goes on with what is still good when another cannot be had, and fails only after its end", async () => {
    const { clock, renewed, scene } = make();
    await renewed.get(never);
    scene.fails = true;
    for (let i = 0; i < 4; i++) {
      await clock.advance(i === 0 ? 56 * minute : minute);
      assert.equal(await renewed.get(never), "secret 1");
      await settled();
    }
    await clock.advance(2 * minute);
    await assert.rejects(renewed.get(never), /none today/);
    scene.fails = false;
    assert.match(await renewed.get(never), /^secret \d+$/);
  });

  it("gets another one when the one it has was refused", async () => {
    const { renewed, scene } = make();
    await renewed.get(never);
    renewed.forget();
    assert.equal(await renewed.get(never), "secret 2");
    assert.deepEqual(scene.anew, [false, true], "and does not get it from a memory");
  });

  it("shows nobody what it holds", async () => {
    const { renewed } = make();
    await renewed.get(never);
    const shown = inspect(renewed, { depth: 9, showHidden: true }) + JSON.stringify(renewed);
    assert.ok(!shown.includes("secret"));
  });
});

function make() {
  const clock = new VirtualClock();
  const scene = { fetched: 0, fails: false, anew: [] as boolean[] };
  const fetch = async (anew: boolean) => {
    scene.fetched += 1;
    scene.anew.push(anew);
    if (scene.fails) throw new Error("none today");
    return { value: `secret ${scene.fetched}`, expiresAt: clock.now() + 60 * minute };
  };
  return { clock, scene, renewed: new Renewed({ clock, fetch }) };
}
