import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { commandLine } from "./command-line.ts";
import { TestDaemon } from "./testing/test-daemon.ts";
import { TestTerminal } from "./testing/test-terminal.ts";

const nobody = { HOME: "/nonexistent", LARDER_DATA: "/nonexistent/data" };

describe("the command line", () => {
  it("every command explains itself", async () => {
    const all = [
      "up",
      "serve",
      "stop",
      "env",
      "run",
      "ls",
      "kill",
      "pause",
      "resume",
      "snapshot",
      "fork",
      "logs",
      "metrics",
      "template",
      "cache",
      "doctor",
      "config",
      "demo",
    ];
    for (const name of all) {
      const terminal = new TestTerminal(nobody);
      assert.equal(await commandLine([name, "--help"], terminal), 0, name);
      assert.ok(terminal.printed.startsWith(`usage: larder ${name}`), terminal.printed);
    }
    const terminal = new TestTerminal(nobody);
    assert.equal(await commandLine(["help"], terminal), 0);
    for (const name of all) assert.match(terminal.printed, new RegExp(`^  ${name} `, "m"));
  });

  it("a wrong command line is one sentence and exit code 2", async () => {
    for (const args of [
      ["nope"],
      ["__proto__"],
      ["ls", "--nope"],
      ["ls", "word"],
      ["run"],
      ["kill"],
      ["kill", "--all", "x"],
    ]) {
      const terminal = new TestTerminal(nobody);
      assert.equal(await commandLine(args, terminal), 2, args.join(" "));
      assert.equal(terminal.complained.trim().split("\n").length, 1, terminal.complained);
    }
    assert.equal(await commandLine([], new TestTerminal(nobody)), 2);
  });

  it("without a daemon a command says how to start one, and exits with 1", async () => {
    const terminal = new TestTerminal(nobody);
    assert.equal(await commandLine(["ls"], terminal), 1);
    assert.equal(
      terminal.complained,
      "larder ls: no daemon runs on /nonexistent/data; 'larder up' starts one\n",
    );
  });

  it("a bad setting is told by name", async () => {
    const terminal = new TestTerminal({ ...nobody, LARDER_PORT: "x" });
    assert.equal(await commandLine(["config"], terminal), 1);
    assert.match(terminal.complained, /^larder config: LARDER_PORT is 'x'/);
  });

  it("config prints every setting, for people and for programs, and names misspelt ones", async () => {
    const terminal = new TestTerminal({ ...nobody, LARDER_PROT: "1" });
    assert.equal(await commandLine(["config", "--json"], terminal), 0);
    const settings = JSON.parse(terminal.printed) as { variable: string; from: string }[];
    assert.equal(settings.find(({ variable }) => variable === "LARDER_DATA")?.from, "environment");
    assert.match(terminal.complained, /LARDER_PROT is set, but there is no such setting/);
  });

  it("stop has nothing to do without a daemon", async () => {
    const terminal = new TestTerminal(nobody);
    assert.equal(await commandLine(["stop"], terminal), 0);
    assert.equal(terminal.printed, "no daemon runs on /nonexistent/data\n");
  });
});

describe("commands that talk to a daemon", () => {
  it("env prints what to paste", async () => {
    await using daemon = await TestDaemon.start();
    const { code, terminal } = await daemon.larder(["env"]);
    assert.equal(code, 0);
    const { url } = daemon.api;
    const lines = [
      `export E2B_API_URL=${url}`,
      `export E2B_SANDBOX_URL=${url}`,
      "export E2B_API_KEY=e2b_0123456789abcdef",
    ];
    assert.deepEqual(terminal.printed.trim().split("\n"), lines);
  });

  it("ls lists sandboxes over all pages, kill ends them", async () => {
    await using daemon = await TestDaemon.start();
    for (let i = 0; i < 101; i++)
      await daemon.api.call("POST", "/v2/sandboxes", { metadata: { owner: "me" } });
    const shown = await daemon.larder(["ls"]);
    assert.match(
      shown.terminal.printed,
      /^ID +TEMPLATE +STATE +STARTED +ENDS +METADATA\ni0101 +base +running .* owner=me\n/,
    );
    const listed = JSON.parse((await daemon.larder(["ls", "--json"])).terminal.printed) as object[];
    assert.equal(listed.length, 101);
    const killed = await daemon.larder(["kill", "i0001", "i0002", "i9999"]);
    assert.deepEqual([killed.code, killed.terminal.printed], [1, "i0001\ni0002\n"]);
    assert.match(killed.terminal.complained, /there is no sandbox i9999/);
    const rest = JSON.parse((await daemon.larder(["kill", "--all", "--json"])).terminal.printed);
    assert.deepEqual([rest.killed.length, rest.missing], [99, []]);
  });

  it("template ls lists templates", async () => {
    await using daemon = await TestDaemon.start();
    const { code, terminal } = await daemon.larder(["template", "ls"]);
    assert.equal(code, 0);
    assert.match(terminal.printed, /^base +t0base/m);
  });

  it("a daemon that refuses is quoted", async () => {
    await using daemon = await TestDaemon.start();
    const { code, terminal } = await daemon.larder(["run", "--template", "nope", "true"]);
    assert.deepEqual([code, terminal.complained], [1, "larder run: there is no template 'nope'\n"]);
  });
});
