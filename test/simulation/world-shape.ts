import { SeededRandom } from "../../src/base/testing/seeded-random.ts";

/** What happens in a world, and how much of it. A smaller shape of the same seed is a part of the same world. */
export interface WorldShape {
  readonly nodes: number;
  /** Lives of each node, before the last one, in which all is fine. */
  readonly lives: number;
  readonly readers: number;
  /** Disks refuse. */
  readonly disk: boolean;
  /** The bucket stalls, fails and lies. */
  readonly bucket: boolean;
  /** The network between nodes cuts, stalls, garbles and parts. */
  readonly network: boolean;
  /** Nodes tell others what is not true. */
  readonly liars: boolean;
  /** Processes are killed, and machines lose their power; else all end in order. */
  readonly kills: boolean;
  readonly operator: boolean;
  /** Builds are made on nodes. */
  readonly makers: boolean;
}

/** What a seed means. */
export function shapeOf(seed: number): WorldShape {
  const random = randomOf(seed, "shape");
  const all = { disk: true, bucket: true, network: true, liars: true, kills: true, operator: true };
  const nodes = [1, 1, 1, 2, 2, 3][random.below(6)] ?? 1;
  const lives = [1, 1, 2, 2, 3][random.below(5)] ?? 1;
  const readers = [1, 2, 2, 3, 3, 4, 5][random.below(7)] ?? 1;
  return { ...all, makers: true, nodes, lives, readers };
}

/** Numbers for one part of a world: what other parts do does not change them. */
export function randomOf(seed: number, part: string): SeededRandom {
  let mixed = Math.imul(seed, 0x9e3779b1);
  for (const letter of part) mixed = Math.imul(mixed ^ letter.charCodeAt(0), 0x01000193);
  return new SeededRandom(mixed);
}

/** Shapes that are one step smaller, those that take away most first. */
export function smallerShapes(shape: WorldShape): WorldShape[] {
  const smaller: WorldShape[] = [];
  for (const part of ["network", "liars", "makers", "disk", "bucket", "operator", "kills"] as const)
    if (shape[part]) smaller.push({ ...shape, [part]: false });
  for (const part of ["nodes", "lives", "readers"] as const)
    if (shape[part] > 1) smaller.unshift({ ...shape, [part]: shape[part] - 1 });
  return smaller;
}
