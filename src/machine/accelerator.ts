import { open, readFile } from "node:fs/promises";
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

/** Where the host says what KVM depends on; other places in tests. */
export interface KvmPlaces {
  readonly device?: string;
  readonly cpuinfo?: string;
  /** True when this is root, whose machines run as users of their own. */
  readonly root?: boolean;
}

/**
 * Why KVM cannot be used, or null when it can. The device is opened, not only looked at: in a container it may be
 * there and forbidden, its module may be missing, or it may be one that runs only kernels made for it.
 */
export async function kvmTrouble({
  device = "/dev/kvm",
  cpuinfo = "/proc/cpuinfo",
  root = process.getuid?.() === 0,
}: KvmPlaces = {}): Promise<string | null> {
  try {
    await using opened = await open(device, "r+");
    if (!/^flags\s*:.*\b(vmx|svm)\b/m.test(await readFile(cpuinfo, "utf8")))
      return `the processor has neither vmx nor svm, without which ${device} runs only kernels made for it`;
    const { gid, mode } = await opened.stat();
    if (root && gid === 0 && (mode & 0o006) !== 0o006)
      return `${device} is root's alone, and no machine runs as root: give it to the group kvm`;
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return `there is no ${device}`;
    if (code === "EACCES") return `this user may not use ${device}: add it to the group kvm`;
    return `${device} cannot be opened (${code})`;
  }
}
