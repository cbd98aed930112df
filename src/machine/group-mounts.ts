import path from "node:path";
import { type Controller, controllers } from "./group-limits.ts";

/** A tree of control groups, as this process sees it. */
export interface GroupTree {
  readonly version: 1 | 2;
  /** Where it is mounted. */
  readonly root: string;
  /** The group that this process is in. */
  readonly own: string;
  /** What it bounds; of a tree of version 2 only the kernel knows. */
  readonly controllers: readonly Controller[];
}

/** Of the texts of /proc/self/mountinfo and /proc/self/cgroup; proc(5), cgroups(7). */
export function groupTrees(mountinfo: string, cgroup: string): GroupTree[] {
  const trees: GroupTree[] = [];
  for (const line of mountinfo.split("\n")) {
    const [left = "", right = ""] = line.split(" - ");
    const [, , , rootOfMount = "", root = ""] = left.split(" ");
    const [type, , options = ""] = right.split(" ");
    if (type !== "cgroup" && type !== "cgroup2") continue;
    const named = options.split(",").map((name) => (name === "blkio" ? "io" : name));
    const bounds = type === "cgroup2" ? [] : controllers.filter((each) => named.includes(each));
    if (type === "cgroup" && bounds.length === 0) continue;
    const mine = ownPath(cgroup, type === "cgroup2" ? "" : options);
    if (mine === undefined) continue;
    const own = path.join(root, path.relative(rootOfMount, mine));
    const seen = own === root || own.startsWith(`${root}/`);
    trees.push({ version: type === "cgroup2" ? 2 : 1, root, own: seen ? own : root, controllers: bounds });
  }
  return trees;
}

/** The group of this process in one tree: that of version 2 has no names. */
function ownPath(cgroup: string, options: string): string | undefined {
  for (const line of cgroup.split("\n")) {
    const [, names = "", ...rest] = line.split(":");
    const isIt = options === "" ? names === "" : names !== "" && sharesName(names, options);
    if (rest.length > 0 && isIt) return rest.join(":");
  }
  return undefined;
}

function sharesName(names: string, options: string): boolean {
  const wanted = options.split(",");
  return names.split(",").some((name) => wanted.includes(name));
}
