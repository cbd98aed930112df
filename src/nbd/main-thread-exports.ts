import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { DiskExport, DiskExports, ExportOptions } from "./disk-exports.ts";
import { NbdExport } from "./nbd-export.ts";

/** Offers any device from the thread that it lives on: for few clients and small devices. */
export class MainThreadExports implements DiskExports {
  readonly #tools: { readonly logger: Logger; readonly meter: Meter };

  constructor(tools: { readonly logger: Logger; readonly meter: Meter }) {
    this.#tools = tools;
  }

  listen(options: ExportOptions): Promise<DiskExport> {
    return NbdExport.listen({ ...options, ...this.#tools });
  }

  /** Whoever asks is on the one thread that reads. */
  async passed(): Promise<void> {}
}
