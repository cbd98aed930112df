import type { Readable } from "node:stream";
import { z } from "zod";
import { Failure } from "../base/failure.ts";
import type { ApiClient } from "./api-client.ts";
import { decodeFrames, encodeFrame } from "./connect-stream.ts";
import { type GuestAccess, guestHeaders } from "./guest-access.ts";
import { GuestInput } from "./guest-input.ts";

export interface GuestCommand extends GuestAccess {
  /** A line for the shell; undefined: a shell for a person. */
  readonly command: string | undefined;
  readonly cwd: string | undefined;
  /** What it is given to read; undefined: it finds its input at an end. */
  readonly stdin: Readable | undefined;
  /** Given: it runs at a terminal of this size, whose input is `stdin` and whose screen is `onStdout`. */
  readonly screen?: Screen;
  /** What it prints is read no faster than these can take it. */
  readonly onStdout: (bytes: Buffer) => Promise<void>;
  readonly onStderr: (bytes: Buffer) => Promise<void>;
}

/** Columns and rows of what a person sees. */
export interface Screen {
  size(): { readonly cols: number; readonly rows: number };
  /** Calls back whenever the size has changed, until it is disposed of. */
  onResize(listener: () => void): Disposable;
}

const bytes = z.base64().transform((text) => Buffer.from(text, "base64"));
const event = z.object({
  event: z.object({
    start: z.object({ pid: z.int() }).optional(),
    data: z.object({ stdout: bytes.optional(), stderr: bytes.optional(), pty: bytes.optional() }).optional(),
    end: z.object({ exitCode: z.int().default(0), error: z.string().optional() }).optional(),
  }),
});

/** Exit codes that shells give to commands that a signal ended. */
const codeOfSignal = new Map([
  ["signal: killed", 137],
  ["signal: terminated", 143],
  ["signal: interrupt", 130],
]);

/** Runs a command in a sandbox through its agent, and returns its exit code. */
export async function runInGuest(api: ApiClient, guest: GuestCommand, signal: AbortSignal): Promise<number> {
  const { stdin, screen } = guest;
  const raw = { headers: streamHeaders(guest), bytes: encodeFrame(startOf(guest)) };
  const answer = await api.open({ method: "POST", path: "/process.Process/Start", raw }, signal);
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  using held = new DisposableStack();
  held.defer(() => ended.abort());
  for await (const message of decodeFrames(answer)) {
    const { start, data, end } = event.parse(message).event;
    if (start !== undefined) {
      const process = new GuestInput(api, start.pid, guestHeaders(guest), either);
      // Not waited for: a command may end without having read all that it was given.
      if (stdin !== undefined) void process.feed(stdin, screen === undefined ? "stdin" : "pty");
      if (screen !== undefined) held.use(screen.onResize(() => void process.resize(screen.size())));
    }
    const output = data?.stdout ?? data?.pty;
    if (output !== undefined) await guest.onStdout(output);
    if (data?.stderr !== undefined) await guest.onStderr(data.stderr);
    if (end !== undefined) return end.exitCode < 0 ? (codeOfSignal.get(end.error ?? "") ?? 1) : end.exitCode;
  }
  throw new Failure("unavailable", "the command's end was not reported");
}

function startOf({ command, cwd, stdin, screen }: GuestCommand): object {
  const args = command === undefined ? ["-i", "-l"] : ["-l", "-c", command];
  const place = cwd === undefined ? {} : { cwd };
  const envs = screen === undefined ? {} : { envs: { TERM: "xterm-256color" } };
  const input = screen === undefined ? { stdin: stdin !== undefined } : { pty: { size: screen.size() } };
  return { process: { cmd: "/bin/bash", args, ...place, ...envs }, ...input };
}

function streamHeaders(guest: GuestAccess): Record<string, string> {
  return { ...guestHeaders(guest), "content-type": "application/connect+json" };
}
