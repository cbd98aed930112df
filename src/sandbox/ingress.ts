import type { SandboxView } from "./sandbox-view.ts";

/** What decides over traffic to the ports of a sandbox. */
export interface Ingress {
  /** What clients must show; undefined lets everybody in. */
  readonly trafficToken: string | undefined;
  /** Shown to servers in the guest as their host; `${PORT}` in it stands for the port. */
  readonly maskHost: string | undefined;
  /** Ports at which the guest speaks TLS. */
  readonly httpsPorts: readonly number[];
}

export function ingressOf({ ingress, trafficToken }: SandboxView): Ingress {
  return { trafficToken, maskHost: ingress.maskHost, httpsPorts: ingress.httpsPorts };
}
