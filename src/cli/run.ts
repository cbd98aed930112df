import { type Arguments, type Command, type Terminal, writeOut } from "./command.ts";
import { connectToApi } from "./find-api.ts";
import { freshSandbox } from "./fresh-sandbox.ts";
import { runInGuest } from "./guest-process.ts";
import { secondsOf } from "./seconds.ts";
import { shellLine } from "./shell-line.ts";
import { UsageError } from "./usage-error.ts";

export const run: Command = {
  usage:
    "larder run [--template NAME] [--env NAME=VALUE]... [--user NAME] [--cwd DIR] [--timeout SECONDS] " +
    "[--] COMMAND...",
  help: `Runs COMMAND with bash in a fresh sandbox, passes on what it prints, ends the sandbox and returns the
command's exit code. What is piped into this program is the command's input. One word is a line
for the shell ('ls | wc -l'); several are a command and its arguments.
Put -- before words that begin with -.`,
  options: {
    template: { type: "string", default: "base" },
    env: { type: "string", multiple: true, default: [] },
    user: { type: "string" },
    cwd: { type: "string" },
    timeout: { type: "string", default: "300" },
  },
  words: { least: 1, most: Number.POSITIVE_INFINITY },
  run: runCommand,
};

async function runCommand(args: Arguments, terminal: Terminal): Promise<number> {
  const request = {
    templateID: args.values["template"],
    timeout: secondsOf(String(args.values["timeout"])),
    envVars: environmentOf(args.values["env"] as readonly string[]),
    metadata: { "larder/by": "larder run" },
  };
  const api = await connectToApi(terminal.env);
  await using sandbox = await freshSandbox(api, request, terminal.signal);
  const guest = {
    sandboxId: sandbox.sandboxId,
    accessToken: sandbox.accessToken,
    command: shellLine(args.positionals),
    user: args.values["user"] as string | undefined,
    cwd: args.values["cwd"] as string | undefined,
    stdin: terminal.stdin.isTTY === true ? undefined : terminal.stdin,
    onStdout: (bytes: Buffer) => writeOut(terminal.stdout, bytes),
    onStderr: (bytes: Buffer) => writeOut(terminal.stderr, bytes),
  };
  return await runInGuest(api, guest, terminal.signal);
}

function environmentOf(pairs: readonly string[]): Record<string, string> {
  const entries = pairs.map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) throw new UsageError(`--env '${pair}' is not NAME=VALUE`);
    return [pair.slice(0, at), pair.slice(at + 1)] as const;
  });
  return Object.fromEntries(entries);
}
