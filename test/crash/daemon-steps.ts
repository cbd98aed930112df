import childProcess from "node:child_process";
import { ServerResponse } from "node:http";
import { createServer } from "node:net";
import path from "node:path";
import { isMainThread } from "node:worker_threads";
import { countSteps } from "./count-steps.ts";

/**
 * Loaded into a daemon before anything of its own, as `NODE_OPTIONS=--import=FILE` has it: counts the steps of its
 * work, and ends it by SIGKILL, or lets it fail, right before the step that was named. It listens to whoever tests it
 * at the socket that LARDER_TEST_STEPS names; see `armed-daemon.ts`.
 */
const { LARDER_TEST_STEPS: socket } = process.env;
const [, program = "", command] = process.argv;

/** What is to be done to which step; a new order begins to count anew. */
export interface StepOrder {
  /** Steps are counted from 1 on; by a name it is the first one that is called so. 0: all go by. */
  readonly at: number | string;
  readonly harm: "kill" | "fail";
}

/** What has gone by since the last order. */
export interface StepsSoFar {
  readonly steps: readonly string[];
  /** Whether the step was there that was to fail. */
  readonly harmed: boolean;
}

/** Writing the log, and what nobody waits for. */
let steps: string[] = [];
let order: StepOrder = { at: 0, harm: "kill" };
let harmed = false;

function onStep(kind: string, what = ""): void {
  const name = `${kind} ${nameOf(what)}`.trim();
  steps.push(name);
  if (harmed || (order.at !== steps.length && order.at !== name)) return;
  if (order.harm === "kill") process.kill(process.pid, "SIGKILL");
  // What was taken by a step that has ended well would be lost, and nothing else is lost then.
  if (/^answer$|^(step|end) .*: done$/.test(name)) return;
  harmed = true;
  const message = `ENOSPC: no space left on device, ${kind} (a test has it fail)`;
  throw Object.assign(new Error(message), { code: "ENOSPC", errno: -28, errcode: 13, errstr: "full" });
}

const identifiers = /\bi[a-z0-9]{20}\b|\bnet-[a-z0-9]+|[0-9a-f]{64}|[0-9a-f]{8}-[0-9a-f-]{27}/g;

/** Short, and the same each time. */
function nameOf(what: string): string {
  if (/\s/.test(what)) return what.replaceAll(/\s+/g, " ").slice(0, 60);
  return path.basename(what).replaceAll(identifiers, "ID");
}

type Work = (...args: never[]) => unknown;

/** A step before it is called, and another one when its promise has settled, if it gives one. */
function around(target: object, name: string, nameStep: (args: readonly unknown[]) => string): void {
  const original = Reflect.get(target, name) as Work;
  const counted = async function (this: unknown, ...args: never[]) {
    const step = nameStep(args);
    onStep(step);
    const answer = await Reflect.apply(original, this, args);
    onStep(`${step}: done`);
    return answer;
  };
  Reflect.set(target, name, counted);
}

/** The same for what gives no promise. */
function before(target: object, name: string, step: string): void {
  const original = Reflect.get(target, name) as Work;
  const counted = function (this: unknown, ...args: never[]) {
    onStep(step);
    return Reflect.apply(original, this, args);
  };
  Reflect.set(target, name, counted);
}

async function begin(path: string): Promise<void> {
  await countSteps(onStep);
  before(childProcess.ChildProcess.prototype, "spawn", "spawn");
  before(ServerResponse.prototype, "end", "answer");
  const { Machine } = await import("../../src/machine/machine.ts");
  const { StepTimes } = await import("../../src/sandbox/step-times.ts");
  const { PauseTimes } = await import("../../src/sandbox/pause-times.ts");
  around(Machine.prototype, "execute", ([name]) => `QMP ${String(name)}`);
  around(Machine.prototype, "destroy", () => "end of the machine");
  for (const times of [StepTimes, PauseTimes])
    around(times.prototype, "measure", ([step]) => `step ${String(step)}`);
  listen(path);
}

/** An order comes, or nothing to ask only; what has gone by until then is answered. */
function listen(path: string): void {
  const server = createServer((connection) => {
    connection.on("error", () => connection.destroy());
    connection.setEncoding("utf8").once("data", (text: string) => {
      connection.end(JSON.stringify({ steps, harmed } satisfies StepsSoFar));
      if (text.trim() === "") return;
      order = JSON.parse(text) as StepOrder;
      [steps, harmed] = [[], false];
    });
  });
  server.listen(path).unref();
}

const isDaemon = isMainThread && program.endsWith("/src/cli/main.ts") && command === "up";
if (socket !== undefined && isDaemon) await begin(socket);
