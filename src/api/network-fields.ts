import { z } from "zod";
import type { IngressSettings } from "../store/sandbox-records.ts";
import { agentPort } from "./destination.ts";
import { notYet, only } from "./fields.ts";

const httpsPortsMax = 64;
const agentPortTaken = `port ${agentPort} is the agent's`;
const noRules = "rules for outgoing traffic are not supported yet";

/** A rule that lets nothing out says what `allow_internet_access: false` says. */
export const everything = "0.0.0.0/0";

/** A host with or without a port, in which `${PORT}` may stand for the port that is asked for. */
const hostMask = z
  .string()
  .max(253)
  .regex(/^(?:\$\{PORT\}|[A-Za-z0-9._:[\]-])+$/, "is no host name");

/** Rules for a sandbox's own traffic, which passes as a whole or not at all. */
export const egressFields = {
  allowOut: only(z.array(z.string()), isEmpty, noRules),
  denyOut: only(z.array(z.string()), (list) => isEmpty(list) || list.includes(everything), noRules),
  rules: only(z.record(z.string(), z.unknown()), isEmptyObject, "network rules are not supported yet"),
  egressProxy: notYet("an egress proxy is"),
};

/** The field `network` of a create. */
export const networkFields = z.strictObject({
  ...egressFields,
  allowPublicTraffic: z.boolean().nullish(),
  maskRequestHost: hostMask.nullish(),
  httpsPorts: z
    .array(z.int().min(1).max(65_535))
    .max(httpsPortsMax)
    .refine((ports) => !ports.includes(agentPort), agentPortTaken)
    .nullish(),
});

export function deniesInternet({ denyOut }: Partial<z.output<typeof networkFields>>): boolean {
  return denyOut?.includes(everything) ?? false;
}

export function ingressOf({
  allowPublicTraffic,
  maskRequestHost,
  httpsPorts,
}: Partial<z.output<typeof networkFields>>): IngressSettings {
  return {
    public: allowPublicTraffic ?? true,
    ...(maskRequestHost ? { maskHost: maskRequestHost } : {}),
    httpsPorts: httpsPorts ?? [],
  };
}

function isEmpty(list: readonly unknown[]): boolean {
  return list.length === 0;
}

function isEmptyObject(value: object): boolean {
  return Object.keys(value).length === 0;
}
