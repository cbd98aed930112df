import type { FailureCode } from "../../base/failure.ts";
import type { SharedImage } from "../../base/shared-image.ts";
import type { NbdLimits } from "../limits.ts";
import type { Offer } from "../option-reply.ts";

/** A failure on its way to another thread. */
export interface PlainFailure {
  readonly code: FailureCode;
  readonly message: string;
}

/** A disk as a worker gets to know it. */
export interface ExportFacts {
  /** Its number among the exports of this process. */
  readonly id: number;
  readonly image: SharedImage;
  readonly offer: Offer;
  readonly limits: NbdLimits;
}

/** What the main thread tells a worker. */
export type ToWorker =
  | { readonly type: "export"; readonly facts: ExportFacts }
  /** A client; from now on the descriptor of its socket is the worker's. */
  | {
      readonly type: "connect";
      readonly export: number;
      readonly connection: number;
      readonly descriptor: number;
    }
  /** Close it and say `closed`. */
  | { readonly type: "close"; readonly export: number }
  | { readonly type: "destroy"; readonly export: number; readonly reason: PlainFailure }
  | { readonly type: "bytes"; readonly key: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: "failed"; readonly key: number; readonly failure: PlainFailure }
  /** Say `passed` when nothing that was found present before this is being read any more. */
  | { readonly type: "pass"; readonly key: number };

/** What a worker tells the main thread. */
export type FromWorker =
  | {
      readonly type: "read";
      readonly export: number;
      readonly key: number;
      readonly offset: number;
      readonly bytes: number;
    }
  /** Nobody waits for that read any more. */
  | { readonly type: "forget"; readonly key: number }
  | { readonly type: "gone"; readonly export: number; readonly connection: number }
  | { readonly type: "closed"; readonly export: number }
  | { readonly type: "passed"; readonly key: number }
  | { readonly type: "log"; readonly level: LogLevel; readonly facts: object; readonly event: string };

export type LogLevel = "debug" | "info" | "warn" | "error";

/** What a worker is started with. */
export interface WorkerStart {
  /** How many sockets it has taken over; see `NbdThread`. */
  readonly adopted: Int32Array;
  /** See `SharedCounts`. */
  readonly counts: Float64Array;
}
