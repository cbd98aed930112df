import { z } from "zod";
import { everything } from "./network-fields.ts";
import type { SandboxView } from "../sandbox/sandbox-view.ts";

/**
 * Says who served a sandbox, which here is always the one daemon. The oldest clients build ids and host names from it,
 * so it is part of a host label.
 */
const clientId = "larder";

/** What create and connect answer. */
export const startedSandbox = z.object({
  sandboxID: z.string(),
  templateID: z.string(),
  clientID: z.string(),
  alias: z.string().optional(),
  envdVersion: z.string(),
  envdAccessToken: z.string().optional(),
  trafficAccessToken: z.string().optional(),
  domain: z.string().optional(),
});

/** What of the network of a sandbox was asked for. */
const network = z.object({
  allowPublicTraffic: z.boolean(),
  maskRequestHost: z.string().optional(),
  httpsPorts: z.array(z.int()).optional(),
  denyOut: z.array(z.string()).optional(),
});

export const listedSandbox = z.object({
  sandboxID: z.string(),
  templateID: z.string(),
  clientID: z.string(),
  alias: z.string().optional(),
  metadata: z.record(z.string(), z.string()),
  startedAt: z.iso.datetime(),
  endAt: z.iso.datetime(),
  state: z.enum(["running", "paused"]),
  cpuCount: z.number(),
  memoryMB: z.number(),
  diskSizeMB: z.number(),
  envdVersion: z.string(),
});

export const sandboxDetail = listedSandbox.extend({
  envdAccessToken: z.string().optional(),
  domain: z.string().optional(),
  allowInternetAccess: z.boolean(),
  network,
  lifecycle: z.object({ autoResume: z.boolean(), onTimeout: z.enum(["kill", "pause"]) }),
});

export function toStarted(view: SandboxView, domain: string | undefined): z.input<typeof startedSandbox> {
  return {
    sandboxID: view.id,
    templateID: view.templateId,
    clientID: clientId,
    ...(view.alias === undefined ? {} : { alias: view.alias }),
    envdVersion: view.agentVersion,
    ...secrets(view, domain),
    ...(view.trafficToken === undefined ? {} : { trafficAccessToken: view.trafficToken }),
  };
}

export function toListed(view: SandboxView): z.input<typeof listedSandbox> {
  return {
    sandboxID: view.id,
    templateID: view.templateId,
    clientID: clientId,
    ...(view.alias === undefined ? {} : { alias: view.alias }),
    metadata: { ...view.metadata },
    startedAt: new Date(view.startedAt).toISOString(),
    endAt: new Date(view.endAt).toISOString(),
    state: view.state,
    cpuCount: view.cpuCount,
    memoryMB: view.memoryMb,
    diskSizeMB: view.diskMb,
    envdVersion: view.agentVersion,
  };
}

export function toDetail(view: SandboxView, domain: string | undefined): z.input<typeof sandboxDetail> {
  return {
    ...toListed(view),
    ...secrets(view, domain),
    allowInternetAccess: view.allowInternet,
    network: toNetwork(view),
    lifecycle: { autoResume: view.lifecycle.autoResume, onTimeout: view.lifecycle.onTimeout },
  };
}

function toNetwork({ ingress, allowInternet }: SandboxView): z.input<typeof network> {
  const { public: open, maskHost, httpsPorts } = ingress;
  return {
    allowPublicTraffic: open,
    ...(maskHost === undefined ? {} : { maskRequestHost: maskHost }),
    ...(httpsPorts.length === 0 ? {} : { httpsPorts: [...httpsPorts] }),
    ...(allowInternet ? {} : { denyOut: [everything] }),
  };
}

function secrets(view: SandboxView, domain: string | undefined) {
  return {
    ...(view.accessToken === undefined ? {} : { envdAccessToken: view.accessToken }),
    ...(domain === undefined ? {} : { domain }),
  };
}
