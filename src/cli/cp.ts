import { spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { PassThrough, type Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { Failure } from "../base/failure.ts";
import type { ApiClient } from "./api-client.ts";
import { type Arguments, type Command, type Terminal, writeOut } from "./command.ts";
import { connectToApi } from "./find-api.ts";
import { type GuestAccess, guestAccess, guestHeaders } from "./guest-access.ts";
import { runInGuest } from "./guest-process.ts";
import { quoted } from "./shell-line.ts";
import { UsageError } from "./usage-error.ts";

export const cp: Command = {
  usage: "larder cp [--user NAME] SOURCE TARGET",
  help: `Copies a file, or a directory with all that is in it, into a sandbox or out of it: one of SOURCE and TARGET
is ID:PATH, the other a path here. A TARGET that is a directory here, or ends with /, gets SOURCE put into it.`,
  options: { user: { type: "string" } },
  words: { least: 2, most: 2 },
  run: copy,
};

async function copy(args: Arguments, terminal: Terminal): Promise<number> {
  const [source = "", target = ""] = args.positionals;
  const [from, to] = [remoteOf(source), remoteOf(target)];
  const remote = from ?? to;
  if (remote === undefined || (from !== undefined && to !== undefined)) {
    throw new UsageError("one of SOURCE and TARGET must be ID:PATH, and the other a path here");
  }
  const api = await connectToApi(terminal.env);
  const user = args.values["user"] as string | undefined;
  const access = await guestAccess(api, remote.id, user, terminal.signal);
  const end = { api, access, terminal };
  if (from === undefined) await upload(end, source, into(remote.path, source));
  else await download(end, from.path, await localTarget(target, from.path));
  return 0;
}

interface End {
  readonly api: ApiClient;
  readonly access: GuestAccess;
  readonly terminal: Terminal;
}

/** `ID:PATH`; a path that begins with / or . is always one here. */
export function remoteOf(word: string): { id: string; path: string } | undefined {
  const match = /^([A-Za-z0-9][A-Za-z0-9_-]*):(.+)$/s.exec(word);
  return match === null ? undefined : { id: match[1] ?? "", path: match[2] ?? "" };
}

function into(target: string, source: string): string {
  return target.endsWith("/") ? target + path.basename(path.resolve(source)) : target;
}

async function localTarget(target: string, source: string): Promise<string> {
  const there = await stat(target).catch(() => undefined);
  if (there?.isDirectory() === true || target.endsWith("/")) return path.join(target, path.basename(source));
  return target;
}

async function upload(end: End, source: string, target: string): Promise<void> {
  const facts = await stat(source).catch((error: unknown) => {
    throw Failure.from(error, `there is no ${source} here`);
  });
  if (facts.isDirectory()) {
    const tar = hostTar("-cf", source);
    const unpack = `mkdir -p ${quoted(target)} && exec tar -C ${quoted(target)} -xf -`;
    await Promise.all([inGuest(end, unpack, { stdin: tar.output }), tar.ended]);
    return;
  }
  const headers = { ...guestHeaders(end.access), "content-type": "application/octet-stream" };
  const call = { method: "POST", path: `/files?path=${encodeURIComponent(target)}` } as const;
  await end.api.page({ ...call, raw: { headers, bytes: createReadStream(source) } }, end.terminal.signal);
}

async function download(end: End, source: string, target: string): Promise<void> {
  if (await isDirectory(end, source)) {
    await mkdir(target, { recursive: true });
    const tar = hostTar("-xf", target);
    const pack = inGuest(end, `exec tar -C ${quoted(source)} -cf - .`, { stdout: tar.input });
    await Promise.all([pack.finally(() => tar.input.end()), tar.ended]);
    return;
  }
  const raw = { headers: guestHeaders(end.access), bytes: Buffer.alloc(0) };
  const call = { method: "GET", path: `/files?path=${encodeURIComponent(source)}`, raw } as const;
  const answer = await end.api.open(call, end.terminal.signal);
  // Under another name until it is whole: what lies at `target` is not lost to a copy that breaks off.
  const part = `${target}.part-${process.pid}`;
  try {
    await pipeline(answer, createWriteStream(part));
    await rename(part, target);
  } finally {
    await rm(part, { force: true });
  }
}

const stated = z.object({ entry: z.looseObject({ type: z.string().optional() }) });

async function isDirectory({ api, access, terminal }: End, path: string): Promise<boolean> {
  const raw = { headers: guestHeaders(access), bytes: Buffer.from(JSON.stringify({ path })) };
  const call = { method: "POST", path: "/filesystem.Filesystem/Stat", raw } as const;
  return (await api.json(stated, call, terminal.signal)).entry.type === "FILE_TYPE_DIRECTORY";
}

/** Owners and modes of the guest mean nothing here; GNU tar itself refuses names that lead out of `directory`. */
function hostTar(what: "-cf" | "-xf", directory: string) {
  const args = ["-C", directory, "--no-same-owner", what, "-", ...(what === "-cf" ? ["."] : [])];
  const child = spawn("tar", args, { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.on("error", () => {}); // It has ended: how, is told below.
  const ended = once(child, "close").then(([code]) => {
    if (code !== 0) throw new Failure("internal", `tar ended with ${String(code)}`);
  });
  // Node throws away what nobody reads at the moment at which a child exits.
  return { input: child.stdin, output: child.stdout.pipe(new PassThrough()), ended };
}

async function inGuest(
  { api, access, terminal }: End,
  command: string,
  { stdin, stdout }: { stdin?: Readable; stdout?: Writable },
): Promise<void> {
  const guest = {
    ...access,
    ...{ command, stdin, cwd: undefined },
    onStdout: (bytes: Buffer) => writeOut(stdout ?? terminal.stderr, bytes),
    onStderr: (bytes: Buffer) => writeOut(terminal.stderr, bytes),
  };
  const code = await runInGuest(api, guest, terminal.signal);
  if (code !== 0) throw new Failure("internal", `tar in the sandbox ended with ${code}`);
}
