import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { after, before, describe, it } from "node:test";
import { AgentFixture } from "../agent/testing/agent-fixture.ts";
import { commandLine } from "./command-line.ts";
import type { Input, Output } from "./command.ts";
import { TestDaemon } from "./testing/test-daemon.ts";

/** A screen that reports what it shows, and can be made larger. */
class Screen implements Output {
  readonly isTTY = true;
  columns = 100;
  rows = 30;
  shown = "";
  readonly #waiting = new Map<string, () => void>();
  readonly #listeners = new Set<() => void>();

  write(text: string | Uint8Array, done?: () => void): void {
    this.shown += Buffer.from(text).toString();
    for (const [wanted, resolve] of this.#waiting) if (this.shown.includes(wanted)) resolve();
    done?.();
  }

  on(_event: "resize", listener: () => void): void {
    this.#listeners.add(listener);
  }

  off(_event: "resize", listener: () => void): void {
    this.#listeners.delete(listener);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  resize(columns: number, rows: number): void {
    Object.assign(this, { columns, rows });
    for (const listener of this.#listeners) listener();
  }

  async has(wanted: string): Promise<void> {
    if (this.shown.includes(wanted)) return;
    await new Promise<void>((resolve) => this.#waiting.set(wanted, resolve));
  }
}

describe("larder shell", () => {
  let daemon: TestDaemon;
  let guest: AgentFixture;
  before(async () => {
    daemon = await TestDaemon.start();
    guest = await AgentFixture.start();
    daemon.api.sandboxes.guest = guest.channel;
  });
  after(async () => {
    await guest[Symbol.asyncDispose]();
    await daemon[Symbol.asyncDispose]();
  });

  function open(...args: string[]) {
    const keys = new PassThrough();
    const raw: boolean[] = [];
    const stdin: Input = Object.assign(keys, {
      isTTY: true,
      setRawMode: (wanted: boolean) => void raw.push(wanted),
    });
    const screen = new Screen();
    const env = { LARDER_DATA: daemon.data, HOME: daemon.data };
    const { signal } = new AbortController();
    const code = commandLine(["shell", ...args], { env, stdin, stdout: screen, stderr: screen, signal });
    return { keys, raw, screen, code };
  }

  it("is a terminal of the size of this one, which follows it, and ends with its shell", async () => {
    const { keys, raw, screen, code } = open();
    keys.write("stty size\n");
    await screen.has("30 100");
    screen.resize(90, 20);
    keys.write("until stty size | grep '20 90'; do :; done; exit 5\n");
    assert.equal(await code, 5, screen.shown);
    assert.deepEqual(raw, [true, false]);
    assert.equal(screen.listeners, 0);
    assert.equal((await daemon.api.call("GET", "/sandboxes")).body.length, 0);
  });

  it("leaves a sandbox that was there before as it is", async () => {
    const id = (await daemon.api.call("POST", "/sandboxes", { templateID: "base" })).body.sandboxID as string;
    const { keys, code } = open(id);
    keys.write("exit\n");
    assert.equal(await code, 0);
    assert.equal((await daemon.api.call("GET", "/sandboxes")).body.length, 1);
  });

  it("asks for a terminal", async () => {
    const { code, terminal } = await daemon.larder(["shell"]);
    assert.equal(code, 1);
    assert.match(terminal.complained, /this is no terminal; 'larder run'/);
  });
});
