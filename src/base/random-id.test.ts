import assert from "node:assert/strict";
import { it } from "node:test";
import { randomId } from "./random-id.ts";
import { SeededRandom } from "./testing/seeded-random.ts";

it("randomId has the length asked for and favours no letter", () => {
  const random = new SeededRandom(1);
  const counts = new Map<string, number>();
  for (let i = 0; i < 2_000; i++) {
    const id = randomId(random, 20);
    assert.match(id, /^[a-z0-9]{20}$/);
    for (const letter of id) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  }
  assert.equal(counts.size, 36);
  for (const [letter, count] of counts) assert.ok(Math.abs(count - 40_000 / 36) < 200, `${letter}: ${count}`);
});
