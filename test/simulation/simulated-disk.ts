import path from "node:path";
import { Failure } from "../../src/base/failure.ts";
import type { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import type { Disk, DiskFile } from "../../src/cache/disk.ts";
import type { ProcessClock } from "./simulated-clock.ts";
import { SimulatedFile } from "./simulated-file.ts";

/** A name that was given or taken away in a directory, perhaps not for good yet. */
interface NameChange {
  readonly name: string;
  /** Undefined: the name is gone. */
  readonly file: SimulatedFile | undefined;
}

/** The platter: what is left of it when a process, or the machine, dies. */
export class SimulatedDisk {
  names = new Map<string, SimulatedFile>();
  #durable = new Map<string, SimulatedFile>();
  #unsynced: NameChange[] = [];
  directories = new Set<string>();
  locked = false;
  /** Probability that a step is refused. */
  faultRate = 0;
  readonly random: SeededRandom;

  constructor(random: SeededRandom) {
    this.random = random;
  }

  set(name: string, file: SimulatedFile | undefined): void {
    if (file === undefined) this.names.delete(name);
    else this.names.set(name, file);
    this.#unsynced.push({ name, file });
  }

  /** Puts a file there that survives everything from now on. */
  place(name: string, bytes: Buffer): void {
    const file = new SimulatedFile();
    file.change({ kind: "write", offset: 0, bytes });
    file.sync();
    this.directories.add(path.dirname(name));
    this.set(name, file);
    this.syncDirectory(path.dirname(name));
  }

  /** Something of a build on the shelf decays; returns what, if there is anything. */
  rot(builds: readonly string[]): string | undefined {
    const files = [...this.names].filter(([name, { bytes }]) => {
      const isBuilds = builds.some((build) => name.startsWith(`/shelf/builds/${build}/`));
      return isBuilds && bytes > 0 && !name.endsWith(".new");
    });
    const [name, file] = files[this.random.below(files.length)] ?? [];
    const [data] = file?.dataRanges(file.bytes) ?? [];
    if (file === undefined || data === undefined) return undefined;
    file.rot(data.offset + this.random.below(data.length));
    return name;
  }

  syncDirectory(directory: string): void {
    const isIn = ({ name }: NameChange) => path.dirname(name) === directory;
    for (const change of this.#unsynced) if (isIn(change)) this.#apply(change);
    this.#unsynced = this.#unsynced.filter((change) => !isIn(change));
  }

  /** The machine goes down: of what was not synced, anything may be lost. */
  crash(): void {
    for (const change of this.#unsynced) if (this.random.below(2) === 0) this.#apply(change);
    this.#unsynced = [];
    const crashed = new Map<SimulatedFile, SimulatedFile>();
    for (const [name, file] of this.#durable) {
      const left = crashed.get(file) ?? file.crashed(this.random);
      crashed.set(file, left);
      this.#durable.set(name, left);
    }
    this.names = new Map(this.#durable);
    this.locked = false;
  }

  /** The world is over: whoever waits for ever in a process that is dead holds on to an empty disk. */
  end(): void {
    for (const names of [this.names, this.#durable]) names.clear();
    this.#unsynced = [];
  }

  #apply({ name, file }: NameChange): void {
    if (file === undefined) this.#durable.delete(name);
    else this.#durable.set(name, file);
  }
}

/** The disk as one process sees it; when that dies, whatever it still does to the disk never ends. */
export class ProcessDisk implements Disk {
  readonly #disk: SimulatedDisk;
  readonly #clock: ProcessClock;
  isDead = false;
  openFiles = 0;
  /** Called before each step: whoever wants may end the process right there. */
  onStep: () => void = () => {};

  constructor(disk: SimulatedDisk, clock: ProcessClock) {
    this.#disk = disk;
    this.#clock = clock;
  }

  async makeDirectory(directory: string): Promise<void> {
    await this.#step();
    for (let at = directory; at !== path.dirname(at); at = path.dirname(at)) this.#disk.directories.add(at);
  }

  async list(directory: string): Promise<string[]> {
    await this.#step();
    const found = new Set<string>();
    // A directory is there as long as something is in it: power that is lost may bring back what was in one.
    for (const name of [...this.#disk.names.keys(), ...this.#disk.directories]) {
      if (name.startsWith(`${directory}/`)) found.add(name.slice(directory.length + 1).split("/")[0] ?? "");
    }
    return [...found];
  }

  async size(name: string): Promise<number | undefined> {
    await this.#step();
    return this.#disk.names.get(name)?.bytes;
  }

  async open(name: string, as: "read" | "update" | "anew"): Promise<DiskFile> {
    await this.#step();
    const present = this.#disk.names.get(name);
    if (present === undefined && (as === "read" || !this.#disk.directories.has(path.dirname(name)))) {
      throw Object.assign(new Error(`there is no ${name}`), { code: "ENOENT" });
    }
    const file = present ?? new SimulatedFile();
    if (present === undefined) this.#disk.set(name, file);
    if (as === "anew") file.change({ kind: "resize", bytes: 0 });
    this.openFiles += 1;
    return this.#opened(file);
  }

  async protect(): Promise<void> {
    await this.#step();
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step();
    const file = this.#disk.names.get(from);
    if (file === undefined) throw Object.assign(new Error(`there is no ${from}`), { code: "ENOENT" });
    this.#disk.set(from, undefined);
    this.#disk.set(to, file);
  }

  async link(from: string, to: string): Promise<void> {
    await this.#step();
    const file = this.#disk.names.get(from);
    if (file === undefined) throw Object.assign(new Error(`there is no ${from}`), { code: "ENOENT" });
    this.#disk.set(to, file);
  }

  async remove(name: string): Promise<void> {
    await this.#step();
    for (const each of [...this.#disk.names.keys()]) {
      if (each === name || each.startsWith(`${name}/`)) this.#disk.set(each, undefined);
    }
    for (const each of [...this.#disk.directories]) {
      if (each === name || each.startsWith(`${name}/`)) this.#disk.directories.delete(each);
    }
  }

  async syncDirectory(directory: string): Promise<void> {
    await this.#step();
    this.#disk.syncDirectory(directory);
  }

  async freeBytes(): Promise<number> {
    await this.#step();
    return 2 ** 40;
  }

  lock(name: string): Disposable {
    if (this.#disk.locked) throw new Failure("conflict", `${name} is held`);
    this.#disk.locked = true;
    return { [Symbol.dispose]: () => void (this.#disk.locked &&= this.isDead) };
  }

  #opened(file: SimulatedFile): DiskFile {
    return {
      descriptor: -1,
      readNow: (into, offset) => {
        this.#fail();
        return file.read(into, offset);
      },
      read: async (into, offset) => {
        await this.#step();
        return file.read(into, offset);
      },
      write: async (bytes, offset) => {
        const copy = Buffer.from(bytes);
        await this.#step();
        file.change({ kind: "write", offset, bytes: copy });
      },
      size: async () => file.bytes,
      resize: async (bytes) => {
        await this.#step();
        file.change({ kind: "resize", bytes });
      },
      sync: async () => {
        await this.#step();
        file.sync();
      },
      punch: (offset, length) => {
        this.#fail();
        file.change({ kind: "punch", offset, length });
      },
      dataRanges: (bytes) => file.dataRanges(bytes),
      close: async () => void (this.openFiles -= 1),
    };
  }

  /** Takes its time, and may be refused. */
  async #step(): Promise<void> {
    const { random } = this.#disk;
    this.onStep();
    const ms = random.below(20) === 0 ? random.below(300) : random.below(3);
    if (ms > 0) await new Promise<void>((resolve) => this.#clock.after(ms, resolve));
    // A promise of its own: who waits for one that others wait for is remembered as long as they are.
    if (this.isDead) await new Promise<never>(() => {});
    this.#fail();
  }

  #fail(): void {
    const { random, faultRate } = this.#disk;
    if (faultRate > 0 && random.fraction() < faultRate) {
      const code = random.below(2) === 0 ? "EIO" : "ENOSPC";
      throw Object.assign(new Error(`${code}: a planned fault`), { code });
    }
  }
}
