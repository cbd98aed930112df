import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { Sandbox } from "e2b";
import { run, serve, type Served, sharedData } from "./testing/served.ts";

const launcher = path.join(import.meta.dirname, "../../bin/larder.mjs");
const lost = "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f0";

describe("A node whose data directory is lost, but for the bucket", () => {
  it("has its templates, its snapshots and what slept on it again, and its garbage can be collected", async () => {
    await using place = await ownPlace();
    const { directory, bucket } = place;
    const first = { LARDER_BUCKET: `file://${bucket}`, LARDER_DATA: path.join(directory, "first") };
    await larder(first, "template", "import");
    const snapshot = await within(first, async (served) => {
      const sandbox = await Sandbox.create({ ...served.sdk });
      await sandbox.files.write("/home/user/kept", "before the loss");
      const { snapshotId } = await sandbox.createSnapshot({ name: "kept" });
      await until(async () => (await served.metric("larder_builds_published_total")) === 1);
      await sandbox.kill();
      const sleeper = await Sandbox.create({ ...served.sdk });
      await sleeper.files.write("/home/user/dream", "of a sandbox that slept");
      await sleeper.pause();
      await until(async () => (await served.metric("larder_builds_published_total")) === 2);
      return snapshotId;
    });
    const lostNode = (await readFile(path.join(first.LARDER_DATA, "node-id"), "utf8")).trim();
    await rm(first.LARDER_DATA, { recursive: true });

    const second = { ...first, LARDER_DATA: path.join(directory, "second") };
    const refused = await run([launcher, "serve"], { ...process.env, ...second, LARDER_PORT: "0" });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /belongs to another store.*larder template import/s);
    const imported = JSON.parse(
      await larder(second, "template", "import", "--lost-node", lostNode, "--json"),
    ) as {
      templates: { name: string }[];
      skipped: unknown[];
    };
    // Other tests may have left snapshots in the bucket that this one began with.
    const names = imported.templates.map(({ name }) => name);
    assert.ok(names.includes("base") && names.includes("kept"), names.join(" "));
    assert.deepEqual(imported.skipped, []);
    const slept = names.find((name) => name.startsWith("lost-")) ?? assert.fail(names.join(" "));
    await leaveGarbage(bucket);
    await within(second, async (served) => {
      const collected = JSON.parse((await served.larder("template", "gc", "--json")).stdout) as {
        builds: { build: string; because: string }[];
        blobs: { digest: string }[];
      };
      assert.ok(
        collected.builds.some(({ build, because }) => build === lost && because === "unfinished"),
        JSON.stringify(collected),
      );
      assert.ok(collected.blobs.some(({ digest }) => digest === "ab".repeat(32)));
      assert.ok(!(await readdir(path.join(bucket, "builds"))).includes(lost));
      const fresh = await Sandbox.create({ ...served.sdk });
      assert.equal((await fresh.commands.run("echo from the old bucket")).stdout, "from the old bucket\n");
      await fresh.kill();
      const again = await Sandbox.create(snapshot, { ...served.sdk });
      assert.equal(await again.files.read("/home/user/kept"), "before the loss");
      await again.kill();
      const rescued = await Sandbox.create(slept, { ...served.sdk });
      assert.equal(await rescued.files.read("/home/user/dream"), "of a sandbox that slept");
      await rescued.kill();
    });
  });
});

/** A copy of the shared bucket, and room for data directories. */
async function ownPlace() {
  const directory = await mkdtemp("/var/tmp/larder-lost-");
  const bucket = path.join(directory, "bucket");
  await cp(path.join(sharedData(), "bucket"), bucket, { recursive: true });
  return {
    ...{ directory, bucket },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

async function within<T>(
  env: { LARDER_BUCKET: string; LARDER_DATA: string },
  use: (served: Served) => Promise<T>,
): Promise<T> {
  await using served = await serve(env, env.LARDER_DATA);
  return await use(served);
}

async function larder(env: Record<string, string>, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run([launcher, ...args], { ...process.env, ...env });
  assert.equal(code, 0, stderr);
  return stdout;
}

/** What a publish that never ended left, and an input that nobody names; and nothing in the bucket is young. */
async function leaveGarbage(bucket: string): Promise<void> {
  await mkdir(path.join(bucket, "builds", lost));
  await writeFile(path.join(bucket, "builds", lost, "rootfs.pack"), "half of it");
  await writeFile(path.join(bucket, "blobs", "sha256", "ab".repeat(32)), "nobody's");
  const before = Date.now() / 1000 - 3 * 24 * 60 * 60;
  for (const entry of await readdir(bucket, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) await utimes(path.join(entry.parentPath, entry.name), before, before);
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await holds())) {
    assert.ok(Date.now() < end, "it did not come to pass");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
