import { rmSync } from "node:fs";
import { systemClock } from "../../base/clock.ts";
import { ChunkTable, type EncodedTable } from "../chunk-table.ts";
import { pageBytes } from "../first-pages.ts";
import { type FileRead, OneFile } from "../one-file.ts";
import { encodeReply } from "../fuse-reply.ts";
import { errno } from "../fuse-protocol.ts";
import { parseRequest } from "../fuse-request.ts";
import { unmountLazily } from "../unmount.ts";
import { ChunkStore } from "./chunk-store.ts";
import { DaemonLink } from "./daemon-link.ts";
import { Faults } from "./faults.ts";
import { FuseDevice } from "./fuse-device.ts";
import { giveFirstPages } from "./give-first-pages.ts";
import { systemWaiters } from "./system-waiters.ts";

/** What is to be served, and where. */
export interface ServeOrder {
  readonly build: string;
  readonly table: EncodedTable;
  /** The chunk file on the shelf. */
  readonly source: string;
  /** Where daemons connect. */
  readonly socket: string;
  readonly mountPoint: string;
  /** Goes with the server: socket and mount point lie in it. */
  readonly directory: string;
  readonly stalledMs: number;
  readonly withheldMsMax: number;
  readonly firstPages?: { readonly path: string; readonly table: EncodedTable } | undefined;
  /** Tells of every page that is read; the kernel reads none beforehand then. */
  readonly tellsPages: boolean;
}

/** Verified chunks in memory: 16 MiB. */
const chunksMax = 64;
/**
 * What the kernel may ask beyond a page that it needs. More would save little, since a chunk is in memory anyway, and
 * would ask for neighbouring chunks that nobody needs.
 */
const readaheadBytes = 16 * 1024;
/** Without a daemon and without a machine there is nothing to wait for. */
const idleMsMax = 30_000;

/** Serves until nobody needs the file any more; the process ends with it. */
export async function serveMemory(order: ServeOrder, onReady: () => void): Promise<void> {
  const table = ChunkTable.decode(order.table);
  const ahead = order.tellsPages ? 0 : readaheadBytes;
  const file = new OneFile({ bytes: table.fileBytes, readaheadBytes: ahead });
  const store = new ChunkStore({ table, path: order.source, chunksMax, ask: (chunk) => link.ask(chunk) });
  const faults = new Faults({
    store,
    waiters: systemWaiters,
    clock: systemClock,
    stalledMs: order.stalledMs,
    withheldMsMax: order.withheldMsMax,
    reply: (reply) => device.reply(reply),
    onTouch: (chunk) => link.touched(chunk),
    tell: (chunk, news) => link.tell(chunk, news),
  });
  const endWhenIdle = () => {
    systemClock.after(idleMsMax, () => {
      if (file.opens === 0 && !link.connected) void leave(order);
    });
  };
  const link = await DaemonLink.listen(order.socket, {
    build: order.build,
    missing: () => store.missing,
    onChunk: (chunk, bytes) => store.give(chunk, bytes),
    onEnd: () => void leave(order),
    onGone: endWhenIdle,
  });
  const device = await FuseDevice.mount({
    mountPoint: order.mountPoint,
    onRequest: (bytes) => {
      const request = parseRequest(bytes);
      const answer = request && file.answer(request);
      if (request === undefined) device.reply(refusal(bytes));
      if (answer?.kind === "reply") device.reply(answer.reply);
      if (answer?.kind === "read") {
        if (order.tellsPages) for (const page of pagesOf(answer.read)) link.page(page);
        faults.take(answer.read);
      }
      if (request?.kind === "release") endWhenIdle();
    },
  });
  endWhenIdle();
  const { mountPoint, firstPages } = order;
  if (firstPages !== undefined) {
    const place = { path: firstPages.path, table: ChunkTable.decode(firstPages.table) };
    await giveFirstPages(device, { mountPoint, firstPages: place });
  }
  onReady();
  await device.ended;
  await leave(order);
}

function pagesOf({ bytes, offset }: FileRead): number[] {
  const first = Math.floor(offset / pageBytes);
  const last = Math.floor((offset + bytes - 1) / pageBytes);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** For what makes no sense, as far as it can be told from others. */
function refusal(request: Buffer): Buffer {
  return encodeReply(request.length < 16 ? 0n : request.readBigUInt64LE(8), errno.invalid);
}

/**
 * Whoever still waits for a read was ended, or is told by the kernel that there is none. Not an orderly exit: that
 * would wait for the readers of the device.
 */
async function leave({ directory, mountPoint }: ServeOrder): Promise<void> {
  if (await unmountLazily(mountPoint)) rmSync(directory, { recursive: true, force: true });
  process.kill(process.pid, "SIGKILL");
}
