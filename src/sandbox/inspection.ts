import type { Sandbox } from "./sandbox.ts";

/** What is there, for operators: starting and ending ones too. */
export function inspectionOf(all: Iterable<Sandbox>): (object & { readonly id: string })[] {
  const awake = [...all].filter(({ state }) => state !== "asleep");
  return awake.map(({ record, state, endReason, guest }) => ({
    id: record.id,
    state: endReason === undefined ? state : "stopping",
    stalled: guest?.isStalled() ?? false,
    build: record.build,
    pid: record.process?.pid,
    directory: record.directory,
    socketDirectory: record.socketDirectory,
  }));
}
