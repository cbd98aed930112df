import { realpathSync, statfsSync, statSync } from "node:fs";
import { Failure } from "../../base/failure.ts";
import type { Koffi } from "./foreign.ts";
import { Inotify, type InotifyEvent, inotifyBits } from "./inotify.ts";
import { type Change, WatchedTree } from "./watched-tree.ts";

export interface WatchOptions {
  readonly recursive: boolean;
  readonly allowNetworkMounts: boolean;
}

/** Watches at one time, and what a client may leave unread of each. */
const watchersMax = 256;
const changesMax = 10_000;

/** File systems whose changes other machines make without our kernel's knowing: NFS, CIFS, SMB2, FUSE, 9P, Ceph. */
const networkTypes = new Set([0x6969, 0xff534d42, 0xfe534d42, 0x65735546, 0x01021997, 0x00c36400]);

/** All that is watched for clients. */
export class Watchers {
  readonly #koffi: Koffi;
  readonly #watchers = new Set<Watcher>();
  readonly #users = new Map<number, number>();
  #inotify: Inotify | undefined;

  constructor(koffi: Koffi) {
    this.#koffi = koffi;
  }

  /** Resolves when everything is watched; to be disposed of. Throws `not_found`, `invalid` or `exhausted`. */
  async watch(path: string, options: WatchOptions): Promise<Watcher> {
    if (!statSync(path).isDirectory()) throw new Failure("invalid", `path is not a directory: ${path}`);
    if (!options.allowNetworkMounts && networkTypes.has(statfsSync(path).type)) {
      throw new Failure("invalid", `path is on a network file system, which tells no changes: ${path}`);
    }
    if (this.#watchers.size >= watchersMax) {
      throw new Failure("exhausted", `${watchersMax} directories are watched already`);
    }
    const watcher = new Watcher(
      {
        root: realpathSync(path),
        recursive: options.recursive,
        watch: (directory) => this.#watch(directory),
        unwatch: (watch) => this.#unwatch(watch),
      },
      () => this.#watchers.delete(watcher),
    );
    this.#watchers.add(watcher);
    try {
      await watcher.start();
      return watcher;
    } catch (error) {
      watcher[Symbol.dispose]();
      throw error;
    }
  }

  /** Trees may overlap, and the kernel has one watch for a directory: it stays until nobody needs it. */
  #watch(directory: string): number {
    this.#inotify ??= new Inotify(this.#koffi, (event) => this.#take(event));
    const watch = this.#inotify.watch(directory);
    this.#users.set(watch, (this.#users.get(watch) ?? 0) + 1);
    return watch;
  }

  #unwatch(watch: number): void {
    const users = (this.#users.get(watch) ?? 0) - 1;
    if (users > 0) this.#users.set(watch, users);
    else if (this.#users.delete(watch)) this.#inotify?.unwatch(watch);
  }

  #take(event: InotifyEvent): void {
    if ((event.bits & inotifyBits.ignored) !== 0) this.#users.delete(event.watch);
    for (const watcher of this.#watchers) watcher.take(event);
  }
}

/** What one client watches, and the changes that it has not heard of yet. */
export class Watcher implements Disposable {
  readonly root: string;
  readonly #tree: WatchedTree;
  readonly #onGone: () => void;
  #changes: Change[] = [];
  #failure: Failure | undefined;
  #wake: (() => void) | undefined;

  constructor(tree: Omit<ConstructorParameters<typeof WatchedTree>[0], "onChange">, onGone: () => void) {
    this.root = tree.root;
    this.#onGone = onGone;
    this.#tree = new WatchedTree({ ...tree, onChange: (change) => this.#add(change) });
  }

  async start(): Promise<void> {
    await this.#tree.start();
  }

  take(event: InotifyEvent): void {
    if ((event.bits & inotifyBits.overflow) !== 0) {
      this.#fail(
        new Failure("exhausted", "more changed at once than the kernel keeps: some changes are lost"),
      );
      return;
    }
    try {
      this.#tree.take(event);
    } catch (error) {
      this.#fail(Failure.from(error));
    }
  }

  /** What has changed since the last call. Throws, once all was told, when there can be no more. */
  drain(): Change[] {
    const changes = this.#changes;
    this.#changes = [];
    if (changes.length === 0 && this.#failure !== undefined) throw this.#failure;
    return changes;
  }

  /** Resolves when there is something to drain, or the wait was interrupted. One caller at a time. */
  async wait(): Promise<void> {
    if (this.#changes.length > 0 || this.#failure !== undefined) return;
    await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = undefined;
  }

  interrupt(): void {
    this.#wake?.();
  }

  [Symbol.dispose](): void {
    this.#tree.stop();
    this.#onGone();
  }

  #add(change: Change): void {
    if (this.#failure !== undefined) return;
    if (this.#changes.length < changesMax) this.#changes.push(change);
    else this.#fail(new Failure("exhausted", `${changesMax} changes were not read: the watch is over`));
    this.#wake?.();
  }

  #fail(failure: Failure): void {
    this.#failure ??= failure;
    this.#wake?.();
  }
}
