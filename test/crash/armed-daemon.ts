import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import path from "node:path";
import { type Served, serve } from "../machine/testing/served.ts";
import type { StepOrder, StepsSoFar } from "./daemon-steps.ts";

const preload = path.join(import.meta.dirname, "daemon-steps.ts");

/** A daemon that counts the steps of its work, and can be told to die or to fail at one of them. */
export interface ArmedDaemon extends AsyncDisposable {
  readonly served: Served;
  /** From now on steps are counted from 1. */
  arm(order: StepOrder): Promise<void>;
  soFar(): Promise<StepsSoFar>;
  /** How it has ended; pending while it runs. */
  readonly ended: Promise<void>;
}

export async function serveArmed(env: Record<string, string> = {}): Promise<ArmedDaemon> {
  const directory = await mkdtemp("/var/tmp/larder-armed-");
  const socket = path.join(directory, "steps");
  const armed = { NODE_OPTIONS: `--import=${preload}`, LARDER_TEST_STEPS: socket };
  const served = await serve({ ...armed, ...env });
  const ended = served.ended.then(() => rm(directory, { recursive: true, force: true }));
  return {
    served,
    arm: async (order) => void (await ask(socket, JSON.stringify(order))),
    soFar: async () => JSON.parse(await ask(socket, "")) as StepsSoFar,
    ended,
    [Symbol.asyncDispose]: async () => {
      await served[Symbol.asyncDispose]();
      await ended;
    },
  };
}

async function ask(socket: string, question: string): Promise<string> {
  const connection = connect(socket);
  await once(connection, "connect");
  connection.write(`${question}\n`);
  return Buffer.concat((await connection.toArray()) as Buffer[]).toString();
}
