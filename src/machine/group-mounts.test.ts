import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { groupTrees } from "./group-mounts.ts";

describe("groupTrees", () => {
  it("find the one tree of version 2, and where this process is in it", () => {
    const mountinfo =
      "24 18 0:22 / /sys rw - sysfs sysfs rw\n30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
    const cgroup = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/larder.service\n";
    assert.deepEqual(groupTrees(mountinfo, cgroup), [
      {
        version: 2,
        root: "/sys/fs/cgroup",
        own: "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/larder.service",
        controllers: [],
      },
    ]);
  });

  it("find a tree of version 1 for each bound, and leave out those that bound nothing of ours", () => {
    const mountinfo = [
      "31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
      "32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
      "33 30 0:29 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio",
      "34 30 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd",
      "35 30 0:31 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer",
    ].join("\n");
    const cgroup = "9:name=systemd:/\n7:blkio:/\n4:memory:/session/a:b\n1:cpu,cpuacct:/\n0::/\n";
    assert.deepEqual(
      groupTrees(mountinfo, cgroup).map(({ own, controllers }) => [own, controllers]),
      [
        ["/sys/fs/cgroup/cpu,cpuacct", ["cpu"]],
        ["/sys/fs/cgroup/memory/session/a:b", ["memory"]],
        ["/sys/fs/cgroup/blkio", ["io"]],
      ],
    );
  });

  it("see a container's own part of a tree as its root", () => {
    const mountinfo = "30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
    const [tree] = groupTrees(mountinfo, "0::/docker/abc/inner\n");
    assert.equal(tree?.own, "/sys/fs/cgroup/inner");
    const [outside] = groupTrees(mountinfo, "0::/elsewhere\n");
    assert.equal(outside?.own, "/sys/fs/cgroup", "what cannot be seen counts as the root");
  });

  it("find nothing where there is nothing", () => {
    assert.deepEqual(groupTrees("", ""), []);
  });
});
