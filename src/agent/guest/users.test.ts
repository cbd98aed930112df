import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Users } from "./users.ts";

describe("Users", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "larder-users-"));
    writeFileSync(
      join(directory, "passwd"),
      "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/sh\n# no user\nbad:x:x:y::/:\nbare:x:7:8::\n",
    );
    writeFileSync(
      join(directory, "group"),
      "root:x:0:\nsudo:x:27:bob,ada\nada:x:1000:\naudio:x:29:ada\nother:x:30:adam\n",
    );
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it("knows a user's ids, home and all groups, the own one first", () => {
    const ada = new Users(directory).byName("ada");
    assert.deepEqual(ada, { name: "ada", uid: 1000, gid: 1000, home: "/home/ada", groups: [1000, 27, 29] });
  });

  it("knows nobody by a name that is not there, or whose line is broken", () => {
    const users = new Users(directory);
    for (const name of ["eve", "bad", "", "# no user"]) assert.equal(users.byName(name), undefined, name);
    assert.equal(users.byName("bare")?.home, "/");
  });

  it("names ids, and numbers those without a name", () => {
    const users = new Users(directory);
    assert.deepEqual(
      [users.userName(1000), users.groupName(27), users.userName(4), users.groupName(5)],
      ["ada", "sudo", "4", "5"],
    );
  });

  it("sees a user who was added a moment ago", () => {
    const users = new Users(directory);
    assert.equal(users.byName("eve"), undefined);
    writeFileSync(join(directory, "new"), "eve:x:1001:1001::/home/eve:/bin/sh\n");
    renameSync(join(directory, "new"), join(directory, "passwd"));
    assert.equal(users.byName("eve")?.uid, 1001);
  });
});
