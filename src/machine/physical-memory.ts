import { GuestMemory } from "./guest-memory.ts";
import type { Machine } from "./machine.ts";
import type { MachineSpec } from "./machine-spec.ts";

/** Of QEMU's `microvm`: what does not fit below its devices lies above 4 GiB. */
const lowBytesMax = 0xc000_0000;
const highStart = 0x1_0000_0000;

/**
 * The memory of a machine by the addresses that its guest uses, while it runs. What is moved is the guest's own in any
 * case, whatever address it has told: what lies elsewhere is refused.
 */
export class PhysicalMemory implements AsyncDisposable {
  readonly #memory: GuestMemory;
  readonly #spec: MachineSpec;

  static async open({ identity, spec }: Pick<Machine, "identity" | "spec">): Promise<PhysicalMemory> {
    return new PhysicalMemory(await GuestMemory.open(identity.pid, spec.memfile), spec);
  }

  private constructor(memory: GuestMemory, spec: MachineSpec) {
    this.#memory = memory;
    this.#spec = spec;
  }

  /**
   * Pages of a lazy memory that the machine has not made its own may have to be brought by this very program: to touch
   * them on its thread would be to wait for itself.
   */
  async isAtHand(address: number, bytes: number): Promise<boolean> {
    const offset = memoryOffset(address);
    if (offset === undefined || offset + bytes > this.#spec.memoryBytes) return false;
    return this.#spec.memfile.lazy === undefined || (await this.#memory.isOwn({ offset, length: bytes }));
  }

  readNow(address: number, into: Uint8Array): void {
    this.#memory.readNow(memoryOffset(address) ?? NaN, into);
  }

  writeNow(address: number, bytes: Uint8Array): void {
    this.#memory.writeNow(memoryOffset(address) ?? NaN, bytes);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#memory[Symbol.asyncDispose]();
  }
}

/** Where in a machine's memory an address of its guest lies; undefined where there is none. */
export function memoryOffset(address: number): number | undefined {
  if (address < lowBytesMax) return address;
  return address < highStart ? undefined : address - highStart + lowBytesMax;
}
