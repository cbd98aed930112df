import { access, constants, mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { type Controller, controllers, type GroupLimits, limitFiles } from "./group-limits.ts";
import { type GroupTree, groupTrees } from "./group-mounts.ts";
import { groupPrefix, groupsOf, removeGroup } from "./stray-groups.ts";

/** A group in which those of machines are made, and what it bounds. */
interface Parent {
  readonly version: 1 | 2;
  readonly directory: string;
  readonly controllers: readonly Controller[];
}

/** The group of one machine, in each tree. */
export interface MachineGroup extends AsyncDisposable {
  /** Whoever writes its process number to each of these is in it, with all that it starts. */
  readonly processFiles: readonly string[];
}

/** Of version 2: the group of all daemons of this host, or of this user. */
const sliceName = "larder.slice";
/**
 * Bounds for machines, as far as this host lets the daemon set any. Version 2 of the kernel's control groups is used
 * where it may be written: by root, or below a group that was delegated to the user. Of version 1 the daemon's own
 * groups are divided, which only root may.
 */
export class ControlGroups {
  readonly #parents: readonly Parent[];
  readonly #daemon: string;
  readonly #clock: Clock;

  private constructor(parents: readonly Parent[], daemon: string, clock: Clock) {
    this.#parents = parents;
    this.#daemon = daemon;
    this.#clock = clock;
  }

  /** Finds out what can be bounded here. `daemon` tells the groups of one daemon from those of another. */
  static async find({ daemon, clock }: { daemon: string; clock: Clock }): Promise<ControlGroups> {
    const [mountinfo, cgroup] = await Promise.all(
      ["mountinfo", "cgroup"].map((name) => readFile(`/proc/self/${name}`, "utf8").catch(() => "")),
    );
    const parents: Parent[] = [];
    for (const tree of groupTrees(mountinfo ?? "", cgroup ?? "")) {
      const parent = tree.version === 2 ? await sliceIn(tree) : await ownGroup(tree);
      if (parent !== undefined && parent.controllers.length > 0) parents.push(parent);
    }
    return new ControlGroups(parents, daemon, clock);
  }

  get bounded(): Controller[] {
    return controllers.filter((each) => this.#parents.some((parent) => parent.controllers.includes(each)));
  }

  get unbounded(): Controller[] {
    return controllers.filter((each) => !this.bounded.includes(each));
  }

  /** For people: what is bounded, and where the groups are. */
  describe(): string {
    if (this.#parents.length === 0) return "nothing is bounded: no control group may be written here";
    const where = this.#parents.map(({ version, directory }) => `${directory} (v${version})`).join(", ");
    return `${this.bounded.join(", ")} are bounded, in ${where}`;
  }

  /** Makes the group of machine `id`. Throws `unavailable` when a bound cannot be set; nothing is left then. */
  async make(id: string, limits: GroupLimits): Promise<MachineGroup> {
    const groups = this.#parents.map((parent) => ({
      ...parent,
      directory: path.join(parent.directory, `${groupPrefix(this.#daemon)}${id}`),
    }));
    const remove = async () => {
      for (const { directory } of groups) await removeGroup(directory, this.#clock);
    };
    try {
      for (const group of groups) await bound(group, limits);
    } catch (error) {
      await remove();
      throw new Failure("unavailable", `the bounds of machine '${id}' cannot be set`, { cause: error });
    }
    const processFiles = groups.map(({ directory }) => path.join(directory, "cgroup.procs"));
    return { processFiles, [Symbol.asyncDispose]: remove };
  }

  /** The group that a machine of a former daemon is in, wherever that was started. */
  async retake(id: string): Promise<MachineGroup> {
    const remove = async () => {
      for (const { directory, id: owner } of await groupsOf(this.#daemon))
        if (owner === id) await removeGroup(directory, this.#clock);
    };
    return { processFiles: [], [Symbol.asyncDispose]: remove };
  }
}

async function bound({ directory, version, controllers }: Parent, limits: GroupLimits): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const { name, text, optional } of controllers.flatMap((each) => limitFiles(version, each, limits))) {
    try {
      await writeFile(path.join(directory, name), text, { flag: "r+" });
    } catch (error) {
      if (optional !== true) throw error;
    }
  }
}

/** Version 1: below the daemon's own group, so that what bounds the daemon bounds its machines too. */
async function ownGroup({ own, controllers }: GroupTree): Promise<Parent | undefined> {
  return (await isWritable(own)) ? { version: 1, directory: own, controllers } : undefined;
}

/**
 * Version 2: in a slice below the topmost group that may be written. It holds no processes itself, as those that
 * divide what they have must not.
 */
async function sliceIn({ root, own }: GroupTree): Promise<Parent | undefined> {
  for (const above of ancestors(root, own)) {
    if (!(await isWritable(above)) || !(await isWritable(path.join(above, "cgroup.procs")))) continue;
    const directory = path.join(above, sliceName);
    try {
      await mkdir(directory, { recursive: true });
      await handDown(above);
      const handed = await handDown(directory);
      return { version: 2, directory, controllers: handed };
    } catch {
      await rmdir(directory).catch(() => {}); // it was used before, or could not be made
    }
  }
  return undefined;
}

/** Lets the groups below set the bounds that this one can; those that it can are returned. */
async function handDown(directory: string): Promise<Controller[]> {
  const offered = (await readFile(path.join(directory, "cgroup.controllers"), "utf8")).trim().split(/\s+/);
  const file = path.join(directory, "cgroup.subtree_control");
  const handed: Controller[] = [];
  for (const each of controllers.filter((name) => offered.includes(name))) {
    // One that is not allowed must not keep the others out.
    const done = await writeFile(file, `+${each}`, { flag: "r+" }).then(
      () => true,
      () => false,
    );
    if (done) handed.push(each);
  }
  return handed;
}

/** From the top to `own`. */
function ancestors(root: string, own: string): string[] {
  const below = path.relative(root, own);
  const parts = below === "" ? [] : below.split("/");
  return [root, ...parts.map((_, at) => path.join(root, ...parts.slice(0, at + 1)))];
}

function isWritable(file: string): Promise<boolean> {
  return access(file, constants.W_OK).then(
    () => true,
    () => false,
  );
}
