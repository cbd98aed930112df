import type { IngressSettings, Lifecycle, SandboxRecord } from "../store/sandbox-records.ts";
import { accessTokenOf, trafficTokenOf } from "./tokens.ts";

/** What clients see of a sandbox. */
export interface SandboxView {
  readonly id: string;
  readonly templateId: string;
  /** The template's name. */
  readonly alias: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly endAt: number;
  readonly state: "running" | "paused";
  readonly cpuCount: number;
  readonly memoryMb: number;
  readonly diskMb: number;
  readonly agentVersion: string;
  /** Missing when the sandbox was made without `secure`. */
  readonly accessToken?: string;
  readonly allowInternet: boolean;
  readonly lifecycle: Lifecycle;
  readonly ingress: IngressSettings;
  /** Missing when everybody may come to its ports. */
  readonly trafficToken?: string;
}

const mebibyte = 2 ** 20;

export function viewOf(record: SandboxRecord, agentVersion: string, tokenSeed: Buffer): SandboxView {
  return {
    id: record.id,
    templateId: record.templateId,
    alias: record.templateName,
    metadata: record.metadata,
    startedAt: record.startedAt,
    endAt: record.endAt,
    state: record.state === "running" ? "running" : "paused",
    cpuCount: record.vcpus,
    memoryMb: Math.round(record.memoryBytes / mebibyte),
    diskMb: Math.round(record.diskBytes / mebibyte),
    agentVersion,
    ...(record.secure ? { accessToken: accessTokenOf(tokenSeed, record.id) } : {}),
    allowInternet: record.allowInternet,
    lifecycle: record.lifecycle,
    ingress: record.ingress,
    ...(record.ingress.public ? {} : { trafficToken: trafficTokenOf(tokenSeed, record.id) }),
  };
}
