// One client's way through a sandbox, in a process of its own: node scenario.mjs PACKAGE
// Prints one JSON object: for each step "ok", or what went wrong.
import { createRequire } from "node:module";
import path from "node:path";

const [, , place = ""] = process.argv;
const require = createRequire(path.join(place, "package.json"));
const { Sandbox } = require(place);
const outcome = {};
let sandbox;

/** A step that needs a sandbox is left out when there is none. */
async function step(name, run) {
  if (name !== "create" && sandbox === undefined) return;
  try {
    await run();
    outcome[name] = "ok";
  } catch (error) {
    outcome[name] = String(error?.message ?? error).slice(0, 200);
  }
}

function same(seen, wanted) {
  if (seen !== wanted) throw new Error(`saw ${JSON.stringify(seen)} instead of ${JSON.stringify(wanted)}`);
}

const idOf = (info) => info.sandboxId;

/** Older packages list everything at once, newer ones page by page. */
async function listed() {
  const list = await Sandbox.list();
  if (Array.isArray(list)) return list;
  const all = [];
  while (list.hasNext) all.push(...(await list.nextItems()));
  return all;
}

const file = `${process.env.COMPAT_DIRECTORY}/notes/${process.pid}.txt`;
await step("create", async () => {
  sandbox = await Sandbox.create("base", { metadata: { from: "compat" }, timeoutMs: 120_000 });
});
await step("command", async () => {
  const result = await sandbox.commands.run("echo out; echo err >&2; exit 0");
  same(`${result.exitCode} ${result.stdout} ${result.stderr}`, "0 out\n err\n");
});
await step("exit code", async () => {
  const code = await sandbox.commands.run("exit 3").then(
    (result) => result.exitCode,
    (error) => error.exitCode,
  );
  same(code, 3);
});
await step("write", async () => void (await sandbox.files.write(file, "kept ✓")));
await step("read", async () => same(await sandbox.files.read(file), "kept ✓"));
await step("list files", async () => {
  const names = (await sandbox.files.list(path.dirname(file))).map((entry) => entry.name);
  same(names.includes(path.basename(file)), true);
});
await step("list", async () => same((await listed()).map(idOf).includes(sandbox.sandboxId), true));
await step("timeout", async () => void (await sandbox.setTimeout(300_000)));
await step("connect", async () => {
  const again = await Sandbox.connect(sandbox.sandboxId);
  same((await again.commands.run("echo again")).stdout, "again\n");
});
await step("running", async () => same(await sandbox.isRunning(), true));
await step("kill", async () => void (await sandbox.kill()));
await step("gone", async () => same(await sandbox.isRunning(), false));
console.log(JSON.stringify(outcome));
process.exit();
