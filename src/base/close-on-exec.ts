import { createRequire } from "node:module";
import { Failure } from "./failure.ts";

/** From Linux's close_range.h: mark the descriptors, close none. Since Linux 5.11. */
const closeRangeCloexec = 4;
const firstAfterStandard = 3;
const lastOfAll = 0xffffffff;

type CloseRange = (first: number, last: number, flags: number) => number;

/**
 * Sees to it that of the descriptors of this process only those given on purpose go on to programs that it starts.
 * What it opens itself is marked that way already; what its own parent gave it, such as a pipe of a shell, may not be.
 */
export function closeOnExec(): void {
  if (closeRange()(firstAfterStandard, lastOfAll, closeRangeCloexec) !== 0)
    throw new Failure("unavailable", "descriptors cannot be kept from other programs: Linux 5.11 is needed");
}

/** Loaded when first needed: it costs tens of milliseconds of a start. */
function closeRange(): CloseRange {
  const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi");
  const declaration = "int close_range(unsigned int first, unsigned int last, int flags)";
  return koffi.load("libc.so.6").func(declaration) as unknown as CloseRange;
}
