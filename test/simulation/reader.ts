import assert from "node:assert/strict";
import { Failure } from "../../src/base/failure.ts";
import type { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import type { BlockDevice } from "../../src/base/block-device.ts";
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
  await using _lent = await lend(node, model.build, who, signal);
  const { lease } = _lent;
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

/** C17: a lease counts as used when it ends. */
async function lend(node: Node, build: string, who: string, signal: AbortSignal) {
  const lease = await node.cache.acquire(build, who, signal);
  return {
    lease,
    [Symbol.asyncDispose]: async () => {
      const before = node.clock.now();
      await lease[Symbol.asyncDispose]();
      const used = node.usedAt(build);
      if (node.isDead || used === undefined || node.cache.holdersOf(build).length > 0) return;
      assert.ok(
        used >= before,
        `C17: ${build} counts as used ${before - used} ms before its lease has ended`,
      );
    },
  };
}

function checkBudget(node: Node): void {
  const { kept, reserved, budget } = node.cache.bytes;
  const most = Math.max(budget, node.foundBytes);
  assert.ok(kept + reserved <= most, `C18: ${kept} + ${reserved} bytes are more than ${most}`);
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
    if (!all && random.below(3) === 0) await giveUpSoon(node, device, offset, into, random, signal);
    const begun = node.clock.now();
    await device.read(offset, into, signal);
    checkBytes(into, expected, `C11, C14: what is read ${who}`);
    if (model.manifest.ancestors.length === 0) checkRelease(node, model.build, { offset, length }, begun);
    checkBudget(node);
  }
}

/** C4: whoever wants at once what somebody has just given up waits for the flight that dies, and begins another. */
async function giveUpSoon(
  node: Node,
  device: Pick<BlockDevice, "read">,
  offset: number,
  into: Buffer,
  random: SeededRandom,
  signal: AbortSignal,
): Promise<void> {
  const soon = new AbortController();
  using _timer = node.clock.after(random.below(60), () => soon.abort(new Failure("unavailable", overtime)));
  await device.read(offset, into, AbortSignal.any([signal, soon.signal])).catch((error: unknown) => {
    if (!soon.signal.aborted) throw error;
  });
  signal.throwIfAborted();
}

/** C12: whoever waits for a chunk goes on as soon as that lies there, whatever becomes of the rest of its request. */
function checkRelease(
  node: Node,
  build: string,
  { offset, length }: { readonly offset: number; readonly length: number },
  begun: number,
): void {
  if (!node.isDiskGood) return;
  const chunk = Math.floor(offset / chunkBytes);
  if (Math.floor((offset + length - 1) / chunkBytes) !== chunk) return; // each of them goes its own way
  const landedAt = node.requests.landedAt(build, "rootfs", chunk);
  const ms = node.clock.now() - landedAt;
  // What has landed before may have been given up since.
  assert.ok(landedAt <= begun || ms <= 1, `C12: a reader went on ${ms} ms after its chunk had landed`);
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
