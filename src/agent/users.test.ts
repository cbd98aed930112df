import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Users } from "./guest/users.ts";
import { AgentFixture, patience } from "./testing/agent-fixture.ts";

/** As root, somebody else who may do nothing special; else only oneself can be. */
const name = process.getuid?.() === 0 ? "nobody" : userInfo().username;
const user = new Users().byName(name);

describe("processes of users", () => {
  let agent: AgentFixture;
  before(async () => (agent = await AgentFixture.start()));
  after(async () => await agent[Symbol.asyncDispose]());

  const sh = async (cmd: string, who: string) =>
    (await agent.client.run(cmd, { user: who, cwd: "/tmp" }, patience())).stdout.trim();

  it("have their user's ids in all four places, and none of the agent's capabilities", async () => {
    const status = await sh("cat /proc/self/status", name);
    const field = (key: string) =>
      new RegExp(`^${key}:\\s*(.*)$`, "m").exec(status)?.[1]?.trim().split(/\s+/);
    assert.deepEqual(field("Uid"), Array(4).fill(String(user?.uid)));
    assert.deepEqual(field("Gid"), Array(4).fill(String(user?.gid)));
    if (user?.uid !== 0) assert.match(field("CapEff")?.[0] ?? "", /^0+$/);
    if (user?.uid !== 0) assert.match(field("CapPrm")?.[0] ?? "", /^0+$/);
  });

  it("know who they are, and are the same user however many start at once", async () => {
    assert.equal(await sh("echo $USER $LOGNAME", name), `${name} ${name}`);
    const own = userInfo().username;
    const asked = Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? name : own));
    assert.deepEqual(await Promise.all(asked.map((who) => sh("id -un", who))), asked);
  });

  it("leave the agent what it was", async () => {
    await sh("true", name);
    const directory = await mkdtemp(join(tmpdir(), "larder-own-"));
    await chmod(directory, 0o700); // Only its owner, and root, may make something in it.
    const { entry } = await agent.files.makeDir({ path: join(directory, "made") });
    assert.equal(entry?.owner, userInfo().username);
    assert.equal((await stat(join(directory, "made"))).uid, process.getuid?.());
    await rm(directory, { recursive: true });
  });
});
