import type { Clock } from "../base/clock.ts";
import { defaultLifecycle, openIngress, type SandboxRecord } from "../store/sandbox-records.ts";
import type { BuildRecord } from "../store/template-records.ts";
import type { CreateRequest } from "./create-request.ts";
import type { Places } from "./new-places.ts";

/** What a sandbox starts from. */
export interface Origin {
  readonly template: { readonly id: string; readonly name: string };
  readonly build: Pick<BuildRecord, "id" | "vcpus" | "memoryBytes" | "diskBytes">;
}

/** The record of a sandbox that is about to start for the first time. */
export function newRecord(
  request: Omit<CreateRequest, "template">,
  { template, build }: Origin,
  { id, directory, socketDirectory }: Places,
  clock: Clock,
): SandboxRecord {
  const { timeoutMs, metadata, envs, secure, allowInternet, lifecycle = defaultLifecycle } = request;
  const { ingress = openIngress } = request;
  return {
    ...{ id, state: "starting", templateId: template.id, templateName: template.name, build: build.id },
    ...{ vcpus: build.vcpus, memoryBytes: build.memoryBytes, diskBytes: build.diskBytes },
    ...{ metadata, envs, secure, allowInternet, timeoutMs, lifecycle, ingress },
    startedAt: clock.now(),
    endAt: clock.now() + timeoutMs,
    directory,
    socketDirectory,
  };
}

/** The record of a sandbox of its own that begins where another one is: like that one in all but its time. */
export function forkRecord(
  like: SandboxRecord,
  { build, timeoutMs }: { readonly build: string; readonly timeoutMs: number },
  places: Places,
  clock: Clock,
): SandboxRecord {
  const template = { id: like.templateId, name: like.templateName };
  return newRecord({ ...like, timeoutMs }, { template, build: { ...like, id: build } }, places, clock);
}
