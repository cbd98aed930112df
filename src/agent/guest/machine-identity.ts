/**
 * What makes two machines that were restored from one snapshot differ. All of it is done in the agent itself,
 * without helper processes, because a restored sandbox waits for it.
 */
export interface MachineIdentity {
  /** Milliseconds since the epoch. */
  now(): number;
  setClock(ms: number): void;
  /** Feeds bytes that nobody can guess to every generator of random numbers: the kernel's and our own. */
  addEntropy(bytes: Uint8Array): void;
  setHostname(name: string): void;
  /** Shows `uuid` as the kernel's boot id. */
  setBootId(uuid: string): void;
  /** 32 hexadecimal digits. */
  setMachineId(id: string): void;
  /** Shows `value` in a file that programs look into whose environment is not ours: `/run/e2b/.NAME`. */
  showFact(name: string, value: string): void;
}
