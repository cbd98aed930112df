import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { stat } from "node:fs/promises";
import type { Clock } from "../../base/clock.ts";
import { Failure } from "../../base/failure.ts";
import {
  type Process,
  type ProcessConfig,
  ProcessConfigSchema,
  type ProcessInput,
  type ProcessSelector,
  type PTY,
  Signal,
  type StartRequest,
  type StreamInputRequest,
} from "../protocol/generated/process_pb.js";
import type { GuestProcess } from "./guest-process.ts";
import { resolvePath } from "./paths.ts";
import { tell, tellEnded } from "./process-events.ts";
import type { ProcessName, ProcessTable } from "./process-table.ts";
import { connectError, streaming, unary } from "./rpc-errors.ts";
import type { Settings } from "./settings.ts";
import type { Launch } from "./spawn.ts";
import type { TerminalSize } from "./terminals.ts";
import type { User, Users } from "./users.ts";
import { userOf } from "./who.ts";

export interface ProcessServiceContext {
  readonly table: ProcessTable;
  readonly users: Users;
  readonly settings: Settings;
  readonly clock: Clock;
  /** The PATH of users' processes. */
  readonly path: string;
}

/** The RPCs of `process.Process`. */
export function processService(context: ProcessServiceContext): ServiceImpl<typeof Process> {
  const { table, clock } = context;
  return {
    list: unary(async () => ({
      processes: table.running().map(({ config, pid, tag }) => ({ config, pid, ...(tag && { tag }) })),
    })),
    start: streaming((request, rpc: HandlerContext) => start(request, rpc, context)),
    connect: streaming(async function* ({ process: selector }, rpc: HandlerContext) {
      const process = table.find(nameOf(selector));
      if (process.ended === undefined) yield* tell(process, process.subscribe(), rpc, clock);
      else yield* tellEnded(process);
    }),
    sendInput: unary(async ({ process, input }) => {
      await write(table.findRunning(nameOf(process)), input);
      return {};
    }),
    async streamInput(requests) {
      try {
        await streamInput(requests, table);
        return {};
      } catch (error) {
        throw connectError(error);
      }
    },
    sendSignal: unary(async ({ process, signal }) => {
      table.findRunning(nameOf(process)).signal(signalOf(signal));
      return {};
    }),
    closeStdin: unary(async ({ process }) => {
      table.findRunning(nameOf(process)).closeStdin();
      return {};
    }),
    update: unary(async ({ process, pty }) => {
      const found = table.findRunning(nameOf(process));
      if (pty !== undefined) found.resize(sizeOf(pty));
      return {};
    }),
  };
}

async function* start(request: StartRequest, rpc: HandlerContext, context: ProcessServiceContext) {
  const { table, users, settings, clock } = context;
  const config = request.process ?? create(ProcessConfigSchema);
  const user = userOf(rpc.requestHeader, users, settings);
  const cwd = await workingDirectory(config, user, settings);
  const terminal = request.pty && sizeOf(request.pty);
  const launch = { ...launchOf(config, user, context), cwd, stdin: request.stdin ?? true, terminal };
  const { process, events } = await table.start(launch, config, request.tag);
  endOnTimeout(process, rpc.timeoutMs(), clock);
  yield* tell(process, events, rpc, clock);
}

function launchOf(
  { cmd, args, envs }: ProcessConfig,
  user: User,
  { settings, path }: ProcessServiceContext,
): Omit<Launch, "cwd" | "stdin" | "terminal"> {
  if (cmd === "") throw new Failure("invalid", "process.cmd is empty");
  if ([cmd, ...args, ...Object.entries(envs).flat()].some((text) => text.includes("\0"))) {
    throw new Failure("invalid", "commands and environments hold no NUL bytes");
  }
  const own = { PATH: path, HOME: user.home, USER: user.name, LOGNAME: user.name };
  const env = { ...own, E2B_SANDBOX: "true", ...settings.envVars, ...envs };
  return { command: cmd, args, env, user };
}

async function workingDirectory(config: ProcessConfig, { home }: User, settings: Settings): Promise<string> {
  const { defaultWorkdir } = settings;
  const cwd = resolvePath(config.cwd ?? "", { home, defaultWorkdir });
  const found = await stat(cwd).catch((error: unknown) => Failure.from(error));
  if (found instanceof Failure) {
    throw new Failure("invalid", `cwd '${cwd}' does not exist`, { cause: found });
  }
  if (!found.isDirectory()) throw new Failure("invalid", `cwd '${cwd}' is not a directory`);
  return cwd;
}

/**
 * A client may leave without hurting the process; only the time that it allowed for it ends it, and does so also when
 * the client, whose own clock may be ahead, has left by then.
 */
function endOnTimeout(process: GuestProcess, timeoutMs: number | undefined, clock: Clock): void {
  if (timeoutMs === undefined) return;
  const timer = clock.after(timeoutMs, () => process.signal("SIGKILL"));
  void process.finished.then(() => timer[Symbol.dispose]());
}

async function streamInput(requests: AsyncIterable<StreamInputRequest>, table: ProcessTable): Promise<void> {
  let process: GuestProcess | undefined;
  for await (const { event } of requests) {
    if (event.case === "start") process = table.findRunning(nameOf(event.value.process));
    if (event.case === "data") {
      if (process === undefined) throw new Failure("invalid", "the first message names the process");
      await write(process, event.value.input);
    }
  }
}

function nameOf(selector: ProcessSelector | undefined): ProcessName {
  if (selector?.selector.case === "pid") return { pid: selector.selector.value };
  if (selector?.selector.case === "tag") return { tag: selector.selector.value };
  throw new Failure("invalid", "process is selected by pid or tag");
}

async function write(process: GuestProcess, input: ProcessInput | undefined): Promise<void> {
  if (input?.input.case === undefined) throw new Failure("invalid", "input holds neither stdin nor pty");
  await process.write(input.input.case, input.input.value);
}

function sizeOf({ size }: PTY): TerminalSize {
  if (size === undefined) throw new Failure("invalid", "pty has no size");
  return size;
}

function signalOf(signal: Signal): "SIGKILL" | "SIGTERM" {
  if (signal === Signal.SIGKILL) return "SIGKILL";
  if (signal === Signal.SIGTERM) return "SIGTERM";
  throw new Failure("invalid", `signal ${signal} is neither SIGKILL nor SIGTERM`);
}
