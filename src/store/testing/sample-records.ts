import { defaultLifecycle, openIngress, type SandboxRecord } from "../sandbox-records.ts";
import type { PublishedTemplate } from "../template-records.ts";

/** A record of a running sandbox, but for what the test says. */
export function sandboxRecord(changes: Partial<SandboxRecord> & { id: string }): SandboxRecord {
  return {
    state: "running",
    templateId: "t0",
    templateName: "base",
    build: "b0",
    vcpus: 1,
    memoryBytes: 512 * 2 ** 20,
    diskBytes: 10 * 2 ** 30,
    metadata: {},
    envs: {},
    secure: true,
    allowInternet: true,
    timeoutMs: 300_000,
    lifecycle: defaultLifecycle,
    ingress: openIngress,
    startedAt: 1_000,
    endAt: 301_000,
    directory: `/data/sandboxes/${changes.id}`,
    socketDirectory: `/run/larder/0123abcd/${changes.id}`,
    ...changes,
  };
}

/** A template with memory for emulation, but for what the test says. */
export function publishedTemplate(changes: Partial<PublishedTemplate["build"]> = {}): PublishedTemplate {
  const id = changes.id ?? "b0";
  const memoryBytes = 512 * 2 ** 20;
  const shape = {
    vmm: "qemu",
    vmmVersion: "10.0.2",
    machineType: "microvm",
    accelerator: "tcg",
    cpuModel: "qemu64",
    vcpus: 1,
    memoryBytes,
    tscKhz: 2_000_000,
  } as const;
  return {
    name: "base",
    build: {
      id,
      diskBuild: id,
      recipe: "r0",
      shape,
      coldBoot: false,
      vcpus: 1,
      memoryBytes,
      diskBytes: 10 * 2 ** 30,
      ...changes,
    },
  };
}
