import { open } from "node:fs/promises";
import { Failure } from "../base/failure.ts";
import type { Accelerator } from "./machine-spec.ts";

/**
 * KVM when `/dev/kvm` can be used, else emulation, unless `wanted` (LARDER_ACCEL) decides.
 * Throws `invalid` when KVM is demanded and cannot be had, or for a word that is neither.
 */
export async function chooseAccelerator(
  wanted = "auto",
  probe: () => Promise<string | null> = () => kvmTrouble(),
): Promise<Accelerator> {
  if (!["auto", "kvm", "tcg"].includes(wanted)) {
    throw new Failure("invalid", `LARDER_ACCEL is '${wanted}': it must be auto, kvm or tcg`);
  }
  if (wanted === "tcg") return { kind: "tcg", reason: "emulation, as LARDER_ACCEL=tcg says" };
  const trouble = await probe();
  if (trouble === null) return { kind: "kvm", reason: "KVM, since /dev/kvm can be used" };
  if (wanted === "kvm") throw new Failure("invalid", `LARDER_ACCEL=kvm, but ${trouble}`);
  return { kind: "tcg", reason: `emulation (about ten times slower), since ${trouble}` };
}

/**
 * Why KVM cannot be used, or null when it can. The device is opened, not only looked at: in a container
 * it may be there
 * and forbidden, and its module may be missing.
 */
export async function kvmTrouble(device = "/dev/kvm"): Promise<string | null> {
  try {
    await (await open(device, "r+")).close();
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return `there is no ${device}`;
    if (code === "EACCES") return `this user may not use ${device}: add it to the group kvm`;
    return `${device} cannot be opened (${code})`;
  }
}
