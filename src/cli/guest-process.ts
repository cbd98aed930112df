import { z } from "zod";
import { Failure } from "../base/failure.ts";
import type { ApiClient } from "./api-client.ts";
import { decodeFrames, encodeFrame } from "./connect-stream.ts";

export interface GuestCommand {
  readonly sandboxId: string;
  readonly accessToken: string | undefined;
  /** For the shell. */
  readonly command: string;
  readonly user: string | undefined;
  readonly cwd: string | undefined;
  /** What it prints is read no faster than these can take it. */
  readonly onStdout: (bytes: Buffer) => Promise<void>;
  readonly onStderr: (bytes: Buffer) => Promise<void>;
}

const bytes = z.base64().transform((text) => Buffer.from(text, "base64"));
const event = z.object({
  event: z.object({
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
  const { command, cwd } = guest;
  const place = cwd === undefined ? {} : { cwd };
  const start = { process: { cmd: "/bin/bash", args: ["-l", "-c", command], ...place }, stdin: false };
  const raw = { headers: headersFor(guest), bytes: encodeFrame(start) };
  const answer = await api.open({ method: "POST", path: "/process.Process/Start", raw }, signal);
  for await (const message of decodeFrames(answer)) {
    const { data, end } = event.parse(message).event;
    if (data?.stdout !== undefined) await guest.onStdout(data.stdout);
    if (data?.stderr !== undefined) await guest.onStderr(data.stderr);
    if (end !== undefined) return end.exitCode < 0 ? (codeOfSignal.get(end.error ?? "") ?? 1) : end.exitCode;
  }
  throw new Failure("unavailable", "the command's end was not reported");
}

function headersFor({ sandboxId, accessToken, user }: GuestCommand): Record<string, string> {
  return {
    "content-type": "application/connect+json",
    "connect-protocol-version": "1",
    "e2b-sandbox-id": sandboxId,
    "e2b-sandbox-port": "49983",
    ...(accessToken === undefined ? {} : { "x-access-token": accessToken }),
    ...(user === undefined ? {} : { authorization: `Basic ${Buffer.from(`${user}:`).toString("base64")}` }),
  };
}
