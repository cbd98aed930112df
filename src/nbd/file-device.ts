import type { BlockDevice } from "../base/block-device.ts";
import type { FilePart } from "./sink.ts";

/** A device that can say where its bytes lie. */
export interface FileDevice extends BlockDevice {
  /**
   * Where bytes lie that are all at hand and side by side in one file; `holeDescriptor` for zeros that lie nowhere.
   * Nothing when they are not. The answer is good until the next call: it may be the same object.
   */
  place(offset: number, bytes: number): FilePart | undefined;
}

export const holeDescriptor = -1;

export function isFileDevice(device: BlockDevice): device is FileDevice {
  return "place" in device;
}
