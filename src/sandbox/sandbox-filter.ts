import type { SandboxRecord } from "../store/sandbox-records.ts";
import type { SandboxView } from "./sandbox-view.ts";

export interface SandboxFilter {
  /** All of these pairs must be there. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** All, unless said. */
  readonly states?: readonly SandboxView["state"][];
  /** Milliseconds since the epoch, inclusive. */
  readonly startedAfter?: number;
  /** Id or name. */
  readonly template?: string;
  readonly order: "asc" | "desc";
  /** 1 … 100. */
  readonly limit: number;
  /** What the former page gave as `next`. */
  readonly after?: string;
}

export interface SandboxPage {
  readonly sandboxes: readonly SandboxView[];
  readonly next?: string;
}

/** What clients call a state, as the store has it: who is being put to sleep is told to sleep already. */
export function recordStates(states: SandboxFilter["states"]): SandboxRecord["state"][] {
  const wanted = new Set(states ?? ["running", "paused"]);
  return [
    ...(wanted.has("running") ? (["running"] as const) : []),
    ...(wanted.has("paused") ? (["pausing", "paused"] as const) : []),
  ];
}
