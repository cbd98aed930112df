import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { Failure } from "../base/failure.ts";
import type { Accelerator } from "./machine-spec.ts";

/**
 * KVM when `/dev/kvm` can be used, else emulation, unless `wanted` (LARDER_ACCEL) decides.
 * Throws `invalid` when KVM is demanded and cannot be had, or for a word that is neither.
 */
export async function chooseAccelerator(
  wanted = "auto",
  probe: () => Promise<string | null> = kvmTrouble,
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

/** Why KVM cannot be used, or null when it can. */
async function kvmTrouble(): Promise<string | null> {
  try {
    await access("/dev/kvm", constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return "there is no /dev/kvm";
    return "this user may not use /dev/kvm: add it to the group kvm";
  }
}
