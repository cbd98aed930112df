import { systemClock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { ApiClient } from "./api-client.ts";
import { type Arguments, type Command, type Output, type Terminal, writeOut } from "./command.ts";
import { connectToApi } from "./find-api.ts";
import { freshSandbox } from "./fresh-sandbox.ts";
import { guestAccess } from "./guest-access.ts";
import { runInGuest, type Screen } from "./guest-process.ts";

/** While somebody sits at the terminal the sandbox is kept for this long, again and again. */
const keptSeconds = 300;
const keepEveryMs = 60_000;

export const shell: Command = {
  usage: "larder shell [ID] [--template NAME] [--user NAME]",
  help: `Opens a terminal in a sandbox: that of ID, which is kept alive meanwhile, else a fresh one, which ends with
the shell.`,
  options: { template: { type: "string", default: "base" }, user: { type: "string" } },
  words: { least: 0, most: 1 },
  run: openShell,
};

async function openShell({ values, positionals: [given] }: Arguments, terminal: Terminal): Promise<number> {
  const { stdin, stdout, signal } = terminal;
  if (stdin.isTTY !== true || stdout.isTTY !== true)
    throw new Failure(
      "invalid",
      "this is no terminal; 'larder run' takes a command and what is piped into it",
    );
  const api = await connectToApi(terminal.env);
  await using held = new AsyncDisposableStack();
  const request = {
    templateID: values["template"],
    timeout: keptSeconds,
    metadata: { "larder/by": "larder shell" },
  };
  const id = given ?? held.use(await freshSandbox(api, request, signal)).sandboxId;
  const access = await guestAccess(api, id, values["user"] as string | undefined, signal);
  held.use(keepAlive(api, id, signal));
  stdin.setRawMode?.(true);
  held.defer(() => void stdin.setRawMode?.(false));
  const shown = (bytes: Buffer) => writeOut(stdout, bytes);
  const guest = { ...access, command: undefined, cwd: undefined, stdin, screen: screenOf(stdout) };
  return await runInGuest(api, { ...guest, onStdout: shown, onStderr: shown }, signal);
}

function keepAlive(api: ApiClient, id: string, signal: AbortSignal): Disposable {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const call = {
    method: "POST",
    path: `/v2/sandboxes/${id}/connect`,
    body: { timeout: keptSeconds },
  } as const;
  const keep = async () => {
    for (;;) {
      await api.page(call, either).catch(() => "the next time, or it has ended and the shell with it");
      await systemClock.sleep(keepEveryMs, either);
    }
  };
  keep().catch(() => "it is over");
  return { [Symbol.dispose]: () => over.abort() };
}

function screenOf(stdout: Output): Screen {
  return {
    size: () => ({ cols: stdout.columns ?? 80, rows: stdout.rows ?? 24 }),
    onResize: (listener) => {
      stdout.on?.("resize", listener);
      return { [Symbol.dispose]: () => void stdout.off?.("resize", listener) };
    },
  };
}
