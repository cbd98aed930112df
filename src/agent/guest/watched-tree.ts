import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../../base/failure.ts";
import { EventType } from "../protocol/generated/filesystem_pb.js";
import { fileFailure } from "./file-failure.ts";
import { inotifyBits, type InotifyEvent } from "./inotify.ts";

export interface Change {
  /** Relative to the directory that is watched; "." is that itself. */
  readonly name: string;
  readonly type: EventType;
}

export interface WatchedTreeOptions {
  readonly root: string;
  readonly recursive: boolean;
  /** As those of `Inotify`. */
  readonly watch: (directory: string) => number;
  readonly unwatch: (watch: number) => void;
  readonly onChange: (change: Change) => void;
}

const directoriesMax = 32_768;
/** So many directories are looked at before others get their turn. */
const directoriesAtOnce = 64;

interface Directory {
  /** Empty: the root. */
  readonly name: string;
  /** Found by looking, when the kernel may tell of it as well. */
  readonly foundAlready: Set<string>;
}

/**
 * A directory that is watched, with all below it if that is wanted. A directory that appears below is watched before
 * it is looked into: what is put into it is either found or told of, and never said twice.
 */
export class WatchedTree {
  readonly #options: WatchedTreeOptions;
  readonly #directories = new Map<number, Directory>();
  /** A directory that has left its place, and perhaps turns up at another with the next event. */
  #moving: { readonly move: number; readonly path: string } | undefined;

  constructor(options: WatchedTreeOptions) {
    this.#options = options;
  }

  /** Resolves when everything is watched. Throws `not_found`, or `exhausted` when it is too much. */
  async start(): Promise<void> {
    let count = 0;
    for (const _directory of this.#cover("", false)) {
      if (++count % directoriesAtOnce === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  stop(): void {
    for (const watch of this.#directories.keys()) this.#options.unwatch(watch);
    this.#directories.clear();
  }

  take({ watch, bits, move, name }: InotifyEvent): void {
    if (this.#moving !== undefined && this.#moving.move !== move) this.#forget(this.#moving.path);
    if (this.#moving?.move !== move) this.#moving = undefined;
    const directory = this.#directories.get(watch);
    if (directory === undefined) return;
    if ((bits & inotifyBits.ignored) !== 0) {
      this.#directories.delete(watch);
    } else if (name === "") {
      if (directory.name === "") this.#tell(".", bits); // Others are told of by the directory that they are in.
    } else if ((bits & inotifyBits.create) === 0 || !directory.foundAlready.delete(name)) {
      if ((bits & (inotifyBits.delete | inotifyBits.movedFrom)) !== 0) directory.foundAlready.delete(name);
      const path = join(directory.name, name);
      this.#tell(path, bits);
      if (this.#options.recursive && (bits & inotifyBits.isDirectory) !== 0) this.#follow(path, bits, move);
    }
  }

  #follow(path: string, bits: number, move: number): void {
    if ((bits & inotifyBits.movedFrom) !== 0) this.#moving = { move, path };
    if ((bits & (inotifyBits.movedTo | inotifyBits.create)) === 0) return;
    if (this.#moving?.move === move) this.#rename(this.#moving.path, path);
    else for (const _directory of this.#cover(path, true)) continue;
    this.#moving = undefined;
  }

  /** A watch is of a directory, wherever that goes. */
  #rename(from: string, to: string): void {
    for (const [watch, directory] of this.#below(from)) {
      this.#directories.set(watch, { ...directory, name: to + directory.name.slice(from.length) });
    }
  }

  /** Watches a directory and those below it, each before it is looked into. `telling`: what is found there is new. */
  *#cover(start: string, telling: boolean): Generator<string> {
    const { root, recursive, watch, onChange } = this.#options;
    const missing = [start];
    for (let name = missing.pop(); name !== undefined; name = missing.pop()) {
      if (this.#directories.size >= directoriesMax) {
        throw new Failure("exhausted", `more than ${directoriesMax} directories are below ${root}`);
      }
      const directory = { name, foundAlready: new Set<string>() };
      try {
        this.#directories.set(watch(join(root, name)), directory);
        if (!recursive) return;
        for (const entry of readdirSync(join(root, name), { withFileTypes: true })) {
          const path = join(name, entry.name);
          if (telling) {
            directory.foundAlready.add(entry.name);
            onChange({ name: path, type: EventType.CREATE });
          }
          if (entry.isDirectory()) missing.push(path);
        }
      } catch (error) {
        if (name === "" || !wentAway(error)) throw watchFailure(error, join(root, name));
      }
      yield name;
    }
  }

  #forget(path: string): void {
    for (const [watch] of this.#below(path)) {
      this.#directories.delete(watch);
      this.#options.unwatch(watch);
    }
  }

  /** A directory and all below it. */
  #below(path: string): [watch: number, directory: Directory][] {
    const is = ({ name }: Directory) => name === path || name.startsWith(`${path}/`);
    return [...this.#directories].filter(([, directory]) => is(directory));
  }

  #tell(name: string, bits: number): void {
    for (const [some, type] of kinds) if ((bits & some) !== 0) this.#options.onChange({ name, type });
  }
}

/** In the order in which E2B's agent says them when several come at once. */
const { create, movedTo, modify, deleteSelf, movedFrom, moveSelf, attributes } = inotifyBits;
const kinds: readonly (readonly [bits: number, EventType])[] = [
  [create | movedTo, EventType.CREATE],
  [modify, EventType.WRITE],
  [inotifyBits.delete | deleteSelf, EventType.REMOVE],
  [movedFrom | moveSelf, EventType.RENAME],
  [attributes, EventType.CHMOD],
];

function wentAway(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "");
}

function watchFailure(error: unknown, path: string): Failure {
  if ((error as NodeJS.ErrnoException).code !== "ENOSPC") return fileFailure(error, path);
  return new Failure("exhausted", "the kernel watches no more directories for this user", { cause: error });
}
