import { Failure } from "../base/failure.ts";
import type { SandboxRecord } from "../store/sandbox-records.ts";
import type { Expiry } from "./expiry.ts";
import type { Guest } from "./launcher.ts";
import type { Awakening } from "./tenancy.ts";

/**
 *              launched            pause              paused            woken
 *   starting ────────────▶ running ─────▶ falling asleep ────▶ asleep ──────▶ starting …
 *       │                    │  ▲            │    │              │  ▲             │
 *       │                    │  └── failed ──┘    │              │  └── failed ───┘
 *       └────────────────────┴──── ended ─────────┴──────────────┘
 *                                    ▼    removed
 *                                stopping ──────▶ gone
 *                                    └─ could not be removed: stays, and the next `end` tries again
 */
export type SandboxState =
  | {
      readonly kind: "starting";
      readonly from: From;
      readonly cancel: AbortController;
      readonly launching: Promise<Guest>;
    }
  | { readonly kind: "running"; readonly guest: Guest; readonly expiry: Expiry }
  | { readonly kind: "falling asleep"; readonly guest: Guest; readonly cancel: AbortController }
  | { readonly kind: "asleep" }
  | { readonly kind: "stopping"; readonly attempt: Promise<void> | undefined }
  | { readonly kind: "gone" };

/** What a start begins with: a record that nobody knows of yet, one that sleeps, or one whose machine runs already. */
export type From = "nothing" | "sleep" | "former run";

export function fromOf({ paused, state }: SandboxRecord): From {
  if (paused !== undefined) return "sleep";
  return state === "starting" ? "nothing" : "former run";
}

/** Why a sandbox ended; the label `why` of the counter. */
export type EndReason = "killed" | "expired" | "lost" | "failed" | "abandoned" | "closing";

/** Clients may know of it: it has run, and does not end. */
export function isThere(state: SandboxState): boolean {
  if (state.kind === "starting") return state.from !== "nothing";
  return state.kind === "running" || state.kind === "falling asleep" || state.kind === "asleep";
}

/** The machine that a sandbox has, or is about to have. */
export function guestOf(state: SandboxState): Guest | Promise<Guest> | undefined {
  if (state.kind === "starting") return state.launching;
  return state.kind === "running" || state.kind === "falling asleep" ? state.guest : undefined;
}

export function whyNotStarted(id: string, why: EndReason): Failure {
  if (why === "closing") return new Failure("unavailable", "the daemon is stopping");
  return new Failure("conflict", `sandbox '${id}' was killed meanwhile`);
}

/** A start under way. */
export interface Starting {
  readonly awakening: Awakening;
  readonly from: From;
  readonly launching: Promise<Guest>;
  readonly cancelled: AbortSignal;
}

/** A pause under way. */
export interface Pausing {
  readonly guest: Guest;
  readonly memory: boolean;
  readonly remainingMs: number;
  /** Aborts when it is ended meanwhile. */
  readonly signal: AbortSignal;
}
