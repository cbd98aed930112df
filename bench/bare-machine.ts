import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import path from "node:path";
import type { Clock } from "../src/base/clock.ts";
import type { MachineSpec } from "../src/machine/machine-spec.ts";
import { channelSocketName, qmpSocketName } from "../src/machine/machine-spec.ts";
import { incomingUri, qemuArguments, snapfileFd } from "../src/machine/qemu-arguments.ts";
import type { QemuInstall } from "../src/machine/qemu-install.ts";
import { QmpClient } from "../src/machine/qmp-client.ts";

export interface BareMachine extends AsyncDisposable {
  readonly channelPath: string;
}

/** The floor: QEMU without a cage, restored from the same files as fast as it goes, running when this resolves. */
export async function restoreBare(
  spec: MachineSpec,
  qemu: QemuInstall,
  clock: Clock,
  signal: AbortSignal,
  /** Fills its memory before its state is loaded. */
  fill: (pid: number) => Promise<void> = async () => {},
): Promise<BareMachine> {
  const { rootDisk, snapfile = "" } = spec;
  const args = qemuArguments(spec, {
    directory: spec.directory,
    sockets: spec.socketDirectory,
    memfile: spec.memfile.path,
    agentDisk: typeof spec.agentDisk === "string" ? spec.agentDisk : "",
    rootDisk: rootDisk.kind === "raw" ? rootDisk.path : rootDisk.nbdSocket,
    kernel: "",
    initrd: "",
    dataDirectories: qemu.dataDirectories,
  });
  const state = openSync(snapfile, "r");
  const stdio: ("ignore" | number)[] = ["ignore", "ignore", "ignore"];
  stdio[snapfileFd] = state;
  const env = { LD_LIBRARY_PATH: qemu.libraryDirectories.join(":") };
  const child = spawn(qemu.binary, withoutSandbox(args), { stdio, env });
  closeSync(state);
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const end = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  try {
    const qmp = await connected(path.join(spec.socketDirectory, qmpSocketName), clock, signal);
    await fill(child.pid ?? 0);
    await qmp.execute("migrate-incoming", { uri: incomingUri }, signal);
    while (((await qmp.execute("query-status", {}, signal)) as { status: string }).status === "inmigrate") {
      await clock.sleep(0.5, signal);
    }
    await qmp.execute("cont", {}, signal);
  } catch (error) {
    await end();
    throw error;
  }
  return { channelPath: path.join(spec.socketDirectory, channelSocketName), [Symbol.asyncDispose]: end };
}

async function connected(socket: string, clock: Clock, signal: AbortSignal): Promise<QmpClient> {
  for (;;) {
    try {
      return await QmpClient.connect({ path: socket, onEvent: () => {} }, signal);
    } catch {
      await clock.sleep(1, signal);
    }
  }
}

function withoutSandbox(args: string[]): string[] {
  const at = args.indexOf("-sandbox");
  return at < 0 ? args : args.toSpliced(at, 2);
}
