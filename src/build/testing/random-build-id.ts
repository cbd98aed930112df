import type { SeededRandom } from "../../base/testing/seeded-random.ts";

/** A build's id that the seed decides. */
export function randomBuildId(random: SeededRandom): string {
  const hex = random.bytes(16).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
