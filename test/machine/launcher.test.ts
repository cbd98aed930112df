import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";

/** What stands for the command line: says who runs it and how, and ends as it is told. */
const program = `
if (process.argv[2] === "wait") {
  process.on("SIGTERM", () => process.exit(43));
  setInterval(() => {}, 1000);
} else process.exitCode = Number(process.argv[2]);
// Last: whoever reads this may send a signal at once.
console.log(JSON.stringify({ pid: process.pid, args: process.argv.slice(2), node: process.execPath }));
`;

/** A Node that cannot become another program is an older one, as far as the launcher can tell. */
const nodes = {
  "a Node that can become another program": [],
  "an older Node": ["--import", "data:text/javascript,delete process.execve"],
};

describe("bin/larder.mjs", () => {
  let home: string;
  before(async () => {
    home = await mkdtemp(path.join(tmpdir(), "larder-launcher-"));
    await mkdir(path.join(home, "src/cli"), { recursive: true });
    await cp(path.join(import.meta.dirname, "../../bin"), path.join(home, "bin"), { recursive: true });
    await writeFile(path.join(home, "src/cli/main.ts"), program);
  });
  after(() => rm(home, { recursive: true }));

  const start = (options: string[], args: string[]) =>
    spawn(process.execPath, [...options, path.join(home, "bin/larder.mjs"), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });

  it("says what to do where nothing is installed", async () => {
    const child = start([], ["ls"]);
    const [errors, code] = await Promise.all([child.stderr.toArray(), exitOf(child)]);
    assert.match(errors.join(""), /not installed here yet: run `npm start`/);
    assert.equal(code, 1);
  });

  for (const [name, options] of Object.entries(nodes)) {
    it(`hands arguments, exit code and signals through to the pinned Node, from ${name}`, async () => {
      const bin = path.join(home, `node_modules/node-linux-${process.arch}/bin`);
      await mkdir(bin, { recursive: true });
      await symlink(process.execPath, path.join(bin, "node"));
      const child = start(options, ["7", "a b", "--c"]);
      const [said, code] = await Promise.all([child.stdout.toArray(), exitOf(child)]);
      assert.deepEqual(JSON.parse(said.join("")).args, ["7", "a b", "--c"]);
      assert.equal(code, 7);
      const waiting = start(options, ["wait"]);
      await new Promise((resolve) => waiting.stdout.once("data", resolve));
      waiting.kill("SIGTERM");
      assert.equal(await exitOf(waiting), 43);
      await rm(path.join(home, "node_modules"), { recursive: true });
    });
  }
});

function exitOf(child: ReturnType<typeof spawn>): Promise<number | null> {
  return new Promise((resolve) => child.once("close", (code) => resolve(code)));
}
