import assert from "node:assert/strict";
import { Failure } from "../../src/base/failure.ts";
import type { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import { readWhole } from "../../src/cache/read-whole.ts";
import type { Lease } from "../../src/cache/lease.ts";
import { chunkBytes } from "../../src/build/artifact.ts";
import type { ModelBuild } from "./library.ts";
import type { Node } from "./node.ts";

/**
 * Takes a lease on a build and uses some of it, or `all`, for some time; compares every byte with the model. Throws a
 * Failure when something could not be had within its deadline, and anything else when a promise was broken.
 */
export async function read(node: Node, model: ModelBuild, random: SeededRandom, who: string, all = false) {
  const deadline = new AbortController();
  const isPatient = !all && random.below(8) === 0;
  const ms = isPatient ? patienceMs : all ? 600_000 : 50 + random.below(20_000);
  const late = () => deadline.abort(new Failure("unavailable", overtime));
  using _timer = node.clock.after(ms, late);
  try {
    await use(node, model, random, who, all, deadline.signal);
  } catch (error) {
    if (!deadline.signal.aborted && isOfAnother(error))
      throw new Error(`C4: told of the end of another's wait: ${String(error)}`, { cause: error });
    if (isPatient && deadline.signal.aborted && !Failure.is(error, "exhausted"))
      throw new Error(`C8: waited for ${patienceMs} ms`, { cause: error });
    throw error;
  }
}

/** Far longer than all flights take that a reader may wait for, with all that they try. */
const patienceMs = 900_000;
const overtime = "the reader's time is over";

/** Somebody has left, or nobody waits any more: nothing that somebody who waits should ever hear. */
function isOfAnother(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.message === overtime || Failure.is(error, "cancelled")) return true;
  return isOfAnother(error.cause);
}

async function use(
  node: Node,
  model: ModelBuild,
  random: SeededRandom,
  who: string,
  all: boolean,
  signal: AbortSignal,
): Promise<void> {
  await using lease = await node.cache.acquire(model.build, who, signal);
  if (random.below(4) === 0) await lease.openAll(signal);
  if (all || random.below(4) > 0) await readDisk(node, lease, model, random, signal, all);
  if (model.memfile !== undefined && (all || random.below(3) === 0))
    await useMemfile(node, lease, model, signal);
  if (model.snapfile !== undefined && (all || random.below(3) === 0)) {
    const path = await lease.file("snapfile", signal);
    for (let i = 0; i < 2; i++) {
      await node.clock.sleep(random.below(400), signal);
      await checkFile(node, path, model.snapfile, "C10: the snapfile");
    }
  }
  checkBudget(node);
}

function checkBudget(node: Node): void {
  const { kept, reserved, budget } = node.cache.bytes;
  assert.ok(kept + reserved <= budget, `C18: ${kept} + ${reserved} bytes are more than ${budget}`);
  assert.ok(reserved >= 0, `C18: ${reserved} bytes are reserved: something was not before it was written`);
}

/** C18: whatever the disk refuses, the disk of a build is read past it, as long as the bucket has it. */
export async function readPast(node: Node, model: ModelBuild, random: SeededRandom): Promise<void> {
  const { signal } = new AbortController();
  await using lease = await node.cache.acquire(model.build, "a reader past the disk", signal);
  await readDisk(node, lease, model, random, signal, true);
}

async function readDisk(
  node: Node,
  lease: Lease,
  model: ModelBuild,
  random: SeededRandom,
  signal: AbortSignal,
  all: boolean,
) {
  await lease.open("rootfs", signal);
  const device = lease.image("rootfs");
  for (let i = 0; i < (all ? 1 : 4); i++) {
    const offset = all ? 0 : random.below(device.bytes);
    const length = all ? device.bytes : 1 + random.below(Math.min(device.bytes - offset, 3 * chunkBytes));
    const expected = model.rootfs.subarray(offset, offset + length);
    const into = Buffer.alloc(length);
    const who = `of ${model.build.slice(0, 4)} at ${offset}`;
    if (device.readNow(offset, into)) checkBytes(into, expected, `C11, C13: what is answered at once ${who}`);
    await device.read(offset, into, signal);
    checkBytes(into, expected, `C11: what is read ${who}`);
    checkBudget(node);
  }
}

function checkBytes(bytes: Buffer, expected: Buffer, what: string): void {
  if (bytes.equals(expected)) return;
  const at = bytes.findIndex((byte, i) => byte !== expected[i]);
  assert.fail(`${what}: byte ${at} is ${bytes[at]}, not ${expected[at]}`);
}

async function useMemfile(node: Node, lease: Lease, model: ModelBuild, signal: AbortSignal): Promise<void> {
  const path = await lease.memfile(signal);
  for (let i = 0; i < 2; i++) {
    if (lease.memfileRetired.aborted) return; // it was found to be bad, and who mapped it was told
    await checkFile(node, path, model.memfile ?? Buffer.alloc(0), "C28: the memfile", lease.memfileRetired);
    await node.clock.sleep(200, signal);
  }
}

/** Reads a file as the VMM would; what the disk refuses is weather. */
async function checkFile(node: Node, path: string, expected: Buffer, what: string, retired?: AbortSignal) {
  const bytes = await readWhole(node.disk, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" && retired?.aborted !== true) throw new Error(`${what} has gone`);
    throw Failure.from(error);
  });
  assert.ok(retired?.aborted === true || bytes.equals(expected), what);
}
