import { mkdir, open, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { AgentChannel } from "../agent/channel.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import { addRange, type MemoryRange } from "../machine/dirty-pages.ts";
import { Machine } from "../machine/machine.ts";
import { type MachineSpec, netdevName } from "../machine/machine-spec.ts";
import { ChunkTable } from "../memory/chunk-table.ts";
import { encodeFirstPages, firstPagesMax, pageBytes } from "../memory/first-pages.ts";
import { MemoryServer } from "../memory/memory-server.ts";
import type { FirstBootOptions } from "./first-boot.ts";
import type { Tell } from "./progress.ts";
import { runCommand } from "./run-command.ts";
import { firstCalls } from "./settle.ts";
import { rehearsalMemoryIn } from "./workplace.ts";

/** A machine that was saved, and has ended. */
interface Saved {
  /** How it was booted. */
  readonly spec: MachineSpec;
  readonly rootfs: string;
  readonly snapfile: string;
  /** Finds its agent again. */
  readonly reconnect: (machine: Machine, signal: AbortSignal) => Promise<AgentChannel>;
  readonly tell: Tell;
}

type Tools = Pick<FirstBootOptions, "directory" | "socketDirectory" | "host" | "clock" | "random" | "logger">;

const rehearsalMsMax = 120_000;
/** The memory is on this disk: nobody waits for any of it. */
const bounds = { stalledMs: rehearsalMsMax, withheldMsMax: rehearsalMsMax };
const buildName = "rehearsal";

/**
 * Restores a saved machine once, with a memory that tells which of its pages are read, and asks of it what clients
 * ask first. Resolves to the path of an image with those pages; to nothing, having said why, where that cannot be
 * done: then first starts on other nodes take longer.
 */
export async function rehearse(tools: Tools, saved: Saved, signal: AbortSignal): Promise<string | undefined> {
  const { tell } = saved;
  using patience = deadline(tools.clock, rehearsalMsMax, "the rehearsal of a first start", signal);
  try {
    tell("one restore that tells what it reads");
    const pages = await pagesRead(tools, saved, patience.signal);
    tell(`${Math.round((pages.length * pageBytes) / 2 ** 20)} MiB of memory are read by a first start`);
    const target = path.join(tools.directory, "firstpages");
    await writeFile(target, await pack(saved.spec.memfile.path, pages), { mode: 0o600 });
    return target;
  } catch (error) {
    signal.throwIfAborted();
    tell(`first starts on other nodes will take longer: ${Failure.from(error).message}`);
    return undefined;
  }
}

async function pagesRead(tools: Tools, saved: Saved, signal: AbortSignal): Promise<number[]> {
  const { clock, host, random, logger, socketDirectory } = tools;
  const source = saved.spec.memfile.path;
  const pages = new Set<number>();
  const server = await MemoryServer.start(
    {
      ...{ directory: rehearsalMemoryIn(socketDirectory), build: buildName, source, clock, ...bounds },
      ...{ table: await ChunkTable.ofFile(source), tellsPages: true },
    },
    {
      read: (chunk) => Promise.reject(new Failure("internal", `chunk ${chunk} is on the disk`)),
      onPage: (page) => pages.add(page),
      onTouch: () => {},
      onNews: () => {},
      onTrouble: (failure) => logger.warn({ error: failure }, "a rehearsal lacks memory"),
    },
    signal,
  );
  try {
    const spec = await specOf(tools, saved, server, signal);
    await using machine = await Machine.start(spec, { ...host, clock }, signal);
    await machine.restore(signal);
    await machine.execute("set_link", { name: netdevName, up: true }, signal);
    await using channel = await saved.reconnect(machine, signal);
    await firstCalls(channel, { clock, random }, signal);
  } finally {
    await server.end();
    await rm(path.join(tools.directory, buildName), { recursive: true, force: true });
  }
  return [...pages].slice(0, firstPagesMax);
}

/** The machine again, over a copy of its disk: what is tried must leave no trace. */
async function specOf(
  { directory }: Tools,
  { spec: { boot: _boot, ...spec }, rootfs, snapfile }: Saved,
  { file: lazy, path: memfile }: MemoryServer,
  signal: AbortSignal,
): Promise<MachineSpec> {
  const place = path.join(directory, buildName);
  const own = path.join(place, "machine");
  await mkdir(own, { recursive: true, mode: 0o711 });
  const disk = path.join(place, "rootfs.ext4");
  await runCommand("cp", ["--sparse=always", "--reflink=auto", rootfs, disk], {}, signal);
  return {
    ...spec,
    directory: own,
    snapfile,
    memfile: { path: memfile, mode: "restore", lazy },
    rootDisk: { kind: "raw", path: disk },
  };
}

async function pack(memfile: string, pages: readonly number[]): Promise<Buffer> {
  await using file = await open(memfile, "r");
  const ranges: MemoryRange[] = [];
  for (const page of pages.toSorted((a, b) => a - b))
    addRange(ranges, { offset: page * pageBytes, length: pageBytes });
  const runs = ranges.map(async ({ offset, length }) => {
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
    return { offset, bytes: buffer };
  });
  return encodeFirstPages(await Promise.all(runs));
}
