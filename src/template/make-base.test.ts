import assert from "node:assert/strict";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { silentLogger } from "../base/logger.ts";
import { type FaultPlan, faulty } from "../base/testing/faulty.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { MemoryBucket } from "../bucket/memory-bucket.ts";
import type { MachineShape } from "../build/manifest.ts";
import { manifestKey, packKey } from "../build/object-keys.ts";
import { readManifest } from "../build/survey-bucket.ts";
import type { PublishedTemplate } from "../store/template-records.ts";
import type { BaseHost, Proof } from "./base-types.ts";
import { FailedRestores } from "./failed-restores.ts";
import type { FirstBootOptions } from "./first-boot.ts";
import { madeTemplates } from "./made-template.ts";
import { finishTemplate, type MakeOptions, makeFirstThatRuns } from "./make-base.ts";

const never = new AbortController().signal;
const shape = (accelerator: "kvm" | "tcg"): MachineShape => ({
  ...{ vmm: "qemu", vmmVersion: "10.0.2", machineType: "microvm", cpuModel: "some", accelerator },
  ...{ vcpus: 1, memoryBytes: 2 ** 20 },
});
const [kvm, tcg] = [shape("kvm"), shape("tcg")];

/** A workshop whose machines boot unless `refusals` names them, once each, and run unless `refuses` says no. */
async function workshop(refuses: (proof: Proof) => boolean, refusals: readonly string[] = []) {
  const refusesToBoot = [...refusals];
  const directory = await mkdtemp(path.join(tmpdir(), "larder-base-"));
  const saved: PublishedTemplate[] = [];
  const proofs: string[] = [];
  const told: string[] = [];
  const file = async (where: string, bytes: number) => {
    await writeFile(where, "x");
    await truncate(where, bytes);
    return where;
  };
  const input = await file(path.join(directory, "input"), 10);
  const agentDisk = await file(path.join(directory, "agent-disk"), 8192);
  const boot = async ({ directory, accelerator }: FirstBootOptions) => {
    const refusal = refusesToBoot.indexOf(accelerator);
    if (refusal >= 0) {
      refusesToBoot.splice(refusal, 1);
      throw new Failure("unavailable", "the machine ended");
    }
    const part = (name: string, bytes: number) => file(path.join(directory, name), bytes);
    const [rootfs, memfile] = [await part("rootfs", 2 ** 20), await part("memfile", 2 ** 20)];
    return { rootfs, memfile, snapfile: await part("snapfile", 100), metafile: Buffer.from("{}") };
  };
  const bucket = new MemoryBucket();
  const options: MakeOptions = {
    inputs: { rootDisk: input, kernel: input, initrd: input, agentDisk },
    recipe: "r",
    failures: new FailedRestores(path.join(directory, "failed-restores.json")),
    // Nothing of it is used by the boot above.
    host: { tscKhz: 1 } as BaseHost,
    machineId: "template-test",
    directory,
    madeDirectory: path.join(directory, "made"),
    socketDirectory: directory,
    boot,
    bucket,
    templates: { publish: async (template) => (saved.push(template), "t") },
    prove: async (proof) => {
      proofs.push(`${proof.accelerator} ${proof.how}`);
      if (refuses(proof)) throw new Failure("unavailable", "the guest does not answer");
    },
    clock: new VirtualClock(),
    random: new SeededRandom(1),
    logger: silentLogger,
    onProgress: ({ detail }) => told.push(detail),
  };
  const dispose = { [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
  return { options, bucket, saved, proofs, told, ...dispose };
}

describe("makeFirstThatRuns", () => {
  it("publishes a build, proves it by one restore and records it with its shape", async () => {
    await using shop = await workshop(() => false);
    const base = await makeFirstThatRuns(shop.options, [kvm, tcg], never);
    assert.deepEqual(shop.proofs, ["kvm restore"]);
    assert.equal(base.coldBoot, false);
    assert.equal(base.accelerator, "kvm");
    const { build } = shop.saved[0] ?? assert.fail("nothing was recorded");
    assert.equal(shop.saved.length, 1);
    assert.deepEqual([build.id, build.diskBuild, build.shape], [base.build, base.build, kvm]);
    const manifest = await readManifest(shop.bucket, base.build, never);
    assert.ok(manifest !== undefined);
    assert.deepEqual(manifest.agentDisk, { offset: 2 ** 20, bytes: 8192 });
    assert.equal(manifest.rootfs?.bytes, 2 ** 20 + 8192);
    assert.deepEqual(
      manifest.inputs.map(({ name }) => name),
      ["kernel", "initrd"],
    );
  });

  it("makes it under emulation when KVM does not restore, says so, and remembers it", async () => {
    await using shop = await workshop(({ accelerator }) => accelerator === "kvm");
    const base = await makeFirstThatRuns(shop.options, [kvm, tcg], never);
    assert.deepEqual(shop.proofs, ["kvm restore", "tcg restore"]);
    assert.deepEqual([base.accelerator, base.coldBoot], ["tcg", false]);
    assert.deepEqual(
      shop.saved.map(({ build }) => build.shape),
      [tcg],
    );
    assert.ok(
      shop.told.some((detail) => /KVM does not run it here \(the guest does not answer\)/.test(detail)),
    );
    assert.equal(await shop.options.failures.has("r", kvm), true);
    assert.equal(await shop.options.failures.has("another", kvm), false);
  });

  it("makes it under emulation when it does not even boot with KVM", async () => {
    await using shop = await workshop(() => false, ["kvm"]);
    assert.equal((await makeFirstThatRuns(shop.options, [kvm, tcg], never)).accelerator, "tcg");
  });

  it("boots once more when the last way fails, for the host may have been too busy", async () => {
    await using shop = await workshop(() => false, ["kvm", "tcg"]);
    assert.equal((await makeFirstThatRuns(shop.options, [kvm, tcg], never)).accelerator, "tcg");
    await using other = await workshop(() => false, ["tcg", "tcg"]);
    await assert.rejects(makeFirstThatRuns(other.options, [tcg], never), { code: "unavailable" });
  });

  it("records that it has to be booted when the last way does not restore, and proves that it boots", async () => {
    await using shop = await workshop(({ how }) => how === "restore");
    const base = await makeFirstThatRuns(shop.options, [kvm, tcg], never);
    assert.deepEqual(shop.proofs, ["kvm restore", "tcg restore", "tcg boot"]);
    assert.equal(base.coldBoot, true);
    assert.equal(shop.saved[0]?.build.coldBoot, true);
    assert.ok(shop.told.some((detail) => /will be booted/.test(detail)));
  });

  it("records nothing when it neither restores nor boots", async () => {
    await using shop = await workshop(() => true);
    await assert.rejects(makeFirstThatRuns(shop.options, [tcg], never), { code: "unavailable" });
    assert.deepEqual(shop.saved, []);
  });

  it("C27: a publish that broke off is taken up by the next start, where that was, without another boot", async () => {
    await using shop = await workshop(() => false);
    const puts: string[] = [];
    let isAway = (key: string) => key.endsWith("/snapfile");
    const plan: FaultPlan = (method, args) => {
      if (method !== "put") return undefined;
      puts.push(String(args[0]));
      return isAway(String(args[0])) ? { kind: "fail", code: "unavailable" } : undefined;
    };
    const options = { ...shop.options, bucket: faulty(shop.bucket as Bucket, plan) };
    await assert.rejects(makeFirstThatRuns(options, [kvm, tcg], never), { code: "unavailable" });
    assert.equal(
      await options.failures.has("r", kvm),
      false,
      "that the bucket is away is not the machine's fault",
    );
    const [made, ...others] = await madeTemplates(options.madeDirectory);
    assert.ok(made !== undefined && others.length === 0 && shop.saved.length === 0);
    const { build } = made.manifest;
    assert.ok(puts.includes(packKey(build, "memfile")) && !puts.includes(manifestKey(build)));
    puts.length = 0;
    isAway = () => false;
    const base = await finishTemplate(options, made, false, never);
    assert.equal(base?.build, build);
    assert.deepEqual(puts, [`builds/${build}/snapfile`, `builds/${build}/metafile`, manifestKey(build)]);
    assert.deepEqual(await madeTemplates(options.madeDirectory), []);
    assert.deepEqual(
      shop.saved.map((each) => each.build.id),
      [build],
    );
  });

  it("removes a build that does not run, here and in the bucket", async () => {
    await using shop = await workshop(() => true);
    await assert.rejects(makeFirstThatRuns(shop.options, [kvm, tcg], never), { code: "unavailable" });
    assert.deepEqual(await madeTemplates(shop.options.madeDirectory), []);
    const { objects } = await shop.bucket.list("builds/", {}, never);
    assert.deepEqual(objects, []);
  });

  it("takes a full disk and a caller who left for what they are, not for a machine that does not run", async () => {
    await using shop = await workshop(() => false);
    const full = () => Promise.reject(new Failure("exhausted", "no room"));
    await assert.rejects(makeFirstThatRuns({ ...shop.options, boot: full }, [kvm, tcg], never), {
      code: "exhausted",
    });
    const controller = new AbortController();
    const leave = () => {
      controller.abort(new Failure("cancelled", "Ctrl-C"));
      return Promise.reject(new Failure("unavailable", "the machine ended"));
    };
    const left = makeFirstThatRuns({ ...shop.options, boot: leave }, [kvm, tcg], controller.signal);
    await assert.rejects(left, { code: "cancelled" });
    assert.equal(await shop.options.failures.has("r", kvm), false);
  });
});
