import { errnoError, type Foreign, type Koffi } from "./foreign.ts";

export interface Ids {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

/** Numbers of setgroups, setresuid, setresgid; glibc's own functions would change every thread of the process. */
const numbersOf: Readonly<Record<string, readonly [number, number, number]>> = {
  x64: [116, 117, 119],
  arm64: [159, 147, 149],
};

export type AsUser = <T>(ids: Ids, action: () => T) => T;

/**
 * Lets the calling thread, and only it, do something synchronous as another user. A process that is spawned meanwhile
 * is that user's for good: the kernel drops the saved uid and all capabilities when it executes its program.
 * This costs six system calls, where a helper like setpriv costs a second program start.
 *
 * The saved uid stays 0, so that the way back is open. If it fails nevertheless the process ends: a thread with
 * unknown credentials must not go on.
 */
export function credentialSwitch(koffi: Koffi, self: Ids): AsUser {
  const numbers = numbersOf[process.arch];
  if (numbers === undefined) throw new Error(`no system call numbers for ${process.arch}`);
  const [setgroups, setresuid, setresgid] = numbers;
  const syscall = koffi.load(null).func("long syscall(long, long, void *, long, long)") as unknown as Foreign<
    [number, number, unknown, number, number]
  >;
  const three = koffi.load(null).func("long syscall(long, long, long, long)") as unknown as Foreign<
    [number, number, number, number]
  >;

  const become = (ids: Ids, saved: { uid: number; gid: number }) => {
    const groups = Uint32Array.from(ids.groups);
    if (syscall(setgroups, groups.length, groups, 0, 0) !== 0) throw errnoError(koffi, "setgroups");
    if (three(setresgid, ids.gid, ids.gid, saved.gid) !== 0) throw errnoError(koffi, "setresgid");
    if (three(setresuid, ids.uid, ids.uid, saved.uid) !== 0) throw errnoError(koffi, "setresuid");
  };
  const comeBack = () => {
    const failed =
      three(setresuid, self.uid, self.uid, self.uid) !== 0 ||
      three(setresgid, self.gid, self.gid, self.gid) !== 0 ||
      syscall(setgroups, self.groups.length, Uint32Array.from(self.groups), 0, 0) !== 0;
    if (failed) {
      console.error("the agent could not become itself again", errnoError(koffi, "setresuid"));
      process.abort();
    }
  };
  return (ids, action) => {
    if (self.uid !== 0) {
      if (ids.uid === self.uid) return action();
      throw new Error("only an agent that runs as root may start processes of other users");
    }
    try {
      become(ids, self);
      return action();
    } finally {
      comeBack();
    }
  };
}
