import type { Readable } from "node:stream";
import { z } from "zod";
import { Failure } from "../base/failure.ts";
import type { ApiClient } from "./api-client.ts";
import { decodeFrames, encodeFrame } from "./connect-stream.ts";
import { type GuestAccess, guestHeaders } from "./guest-access.ts";
import { feedGuest } from "./guest-input.ts";

export interface GuestCommand extends GuestAccess {
  /** For the shell. */
  readonly command: string;
  readonly cwd: string | undefined;
  /** What it is given to read; undefined: it finds its input at an end. */
  readonly stdin: Readable | undefined;
  /** What it prints is read no faster than these can take it. */
  readonly onStdout: (bytes: Buffer) => Promise<void>;
  readonly onStderr: (bytes: Buffer) => Promise<void>;
}

const bytes = z.base64().transform((text) => Buffer.from(text, "base64"));
const event = z.object({
  event: z.object({
    start: z.object({ pid: z.int() }).optional(),
    data: z.object({ stdout: bytes.optional(), stderr: bytes.optional() }).optional(),
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
  const { command, cwd, stdin } = guest;
  const place = cwd === undefined ? {} : { cwd };
  const process = { cmd: "/bin/bash", args: ["-l", "-c", command], ...place };
  const start = { process, stdin: stdin !== undefined };
  const raw = { headers: streamHeaders(guest), bytes: encodeFrame(start) };
  const answer = await api.open({ method: "POST", path: "/process.Process/Start", raw }, signal);
  const ended = new AbortController();
  const feeding = { headers: guestHeaders(guest), signal: AbortSignal.any([signal, ended.signal]) };
  try {
    for await (const message of decodeFrames(answer)) {
      const { start, data, end } = event.parse(message).event;
      // Not waited for: a command may end without having read all that it was given.
      if (start !== undefined && stdin !== undefined) void feedGuest(api, start.pid, stdin, feeding);
      if (data?.stdout !== undefined) await guest.onStdout(data.stdout);
      if (data?.stderr !== undefined) await guest.onStderr(data.stderr);
      if (end !== undefined)
        return end.exitCode < 0 ? (codeOfSignal.get(end.error ?? "") ?? 1) : end.exitCode;
    }
  } finally {
    ended.abort();
  }
  throw new Failure("unavailable", "the command's end was not reported");
}

function streamHeaders(guest: GuestAccess): Record<string, string> {
  return { ...guestHeaders(guest), "content-type": "application/connect+json" };
}
