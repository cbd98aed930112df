/** The kinds of bounds that the kernel sets a group of processes. */
export const controllers = ["memory", "cpu", "pids", "io"] as const;
export type Controller = (typeof controllers)[number];

/** What all processes of one machine together may use. */
export interface GroupLimits {
  readonly memoryBytes: number;
  /** Of the host's swap, besides. */
  readonly swapBytes: number;
  readonly processors: number;
  /** Threads count too. */
  readonly processesMax: number;
  readonly disk?: { readonly device: string; readonly bytesPerSecond: number };
}

const mebibyte = 2 ** 20;
/** For the VMM itself: its code, buffers, translated guest code, what it has written to the disk's file, pasta. */
const overheadBytes = 256 * mebibyte;
/** The VMM answers for disks and channel beside the guest's own processors. */
const overheadProcessors = 1;
/** QEMU has up to 64 threads for files, one for each processor, and a handful besides. */
const processesMax = 128;
const diskBytesPerSecond = 256 * mebibyte;
const cpuPeriodUs = 100_000;

/** What a machine of this size may use. `device` is `MAJOR:MINOR` of the disk that its files lie on. */
export function limitsFor(
  { vcpus, memoryBytes }: { readonly vcpus: number; readonly memoryBytes: number },
  device: string | undefined,
): GroupLimits {
  return {
    memoryBytes: memoryBytes + overheadBytes,
    swapBytes: memoryBytes,
    processors: vcpus + overheadProcessors,
    processesMax,
    ...(device === undefined ? {} : { disk: { device, bytesPerSecond: diskBytesPerSecond } }),
  };
}

/** One file of a group, and what is written to it. Where an optional one is missing, the kernel has no such bound. */
export interface LimitFile {
  readonly name: string;
  readonly text: string;
  readonly optional?: true;
}

/**
 * How a bound is told to the kernel, in order; Documentation/admin-guide/cgroup-v2.rst and cgroup-v1 of the kernel.
 */
export function limitFiles(version: 1 | 2, controller: Controller, limits: GroupLimits): LimitFile[] {
  return version === 2 ? filesOf2(controller, limits) : filesOf1(controller, limits);
}

function filesOf2(controller: Controller, limits: GroupLimits): LimitFile[] {
  const { memoryBytes, swapBytes, processors, processesMax, disk } = limits;
  switch (controller) {
    case "memory":
      return [
        { name: "memory.max", text: String(memoryBytes) },
        { name: "memory.swap.max", text: String(swapBytes), optional: true },
        { name: "memory.oom.group", text: "1", optional: true },
      ];
    case "cpu":
      return [{ name: "cpu.max", text: `${processors * cpuPeriodUs} ${cpuPeriodUs}` }];
    case "pids":
      return [{ name: "pids.max", text: String(processesMax) }];
    case "io": {
      if (disk === undefined) return [];
      const { device, bytesPerSecond } = disk;
      return [{ name: "io.max", text: `${device} rbps=${bytesPerSecond} wbps=${bytesPerSecond}` }];
    }
  }
}

function filesOf1(controller: Controller, limits: GroupLimits): LimitFile[] {
  const { memoryBytes, swapBytes, processors, processesMax, disk } = limits;
  switch (controller) {
    case "memory":
      return [
        { name: "memory.limit_in_bytes", text: String(memoryBytes) },
        { name: "memory.memsw.limit_in_bytes", text: String(memoryBytes + swapBytes), optional: true },
      ];
    case "cpu":
      return [
        { name: "cpu.cfs_period_us", text: String(cpuPeriodUs) },
        { name: "cpu.cfs_quota_us", text: String(processors * cpuPeriodUs) },
      ];
    case "pids":
      return [{ name: "pids.max", text: String(processesMax) }];
    case "io": {
      if (disk === undefined) return [];
      const text = `${disk.device} ${disk.bytesPerSecond}`;
      return ["read", "write"].map((way) => ({ name: `blkio.throttle.${way}_bps_device`, text }));
    }
  }
}
