import type { BlockDevice } from "../base/block-device.ts";
import type { OtherReaders, SharedImage } from "../base/shared-image.ts";

export interface ExportOptions {
  /** Where the Unix socket is made. */
  readonly path: string;
  readonly device: BlockDevice;
  /** The same device laid open, if it can be: other threads may answer from it what is present. */
  readonly image?: SharedImage;
  /** Clients may ask for this name or for none. */
  readonly name?: string;
  readonly description?: string;
  /** Permissions of the socket; who may write to it may connect. */
  readonly mode?: number;
}

/** A disk that is being offered. */
export interface DiskExport extends AsyncDisposable {
  /** Takes no more requests, answers those under way; resolves when no read of the export is under way anywhere. */
  close(): Promise<void>;
  /** Hangs up at once and aborts reads under way; `close` still waits for them to come down. */
  destroy(reason: Error): void;
}

/** Offers disks over NBD, perhaps from other threads: what these read has to be waited for before it is freed. */
export interface DiskExports extends OtherReaders {
  /** Resolves when clients may connect. Throws `invalid` or `conflict` for a path that cannot be listened at. */
  listen(options: ExportOptions): Promise<DiskExport>;
}
