import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { hash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { systemClock as clock } from "../../src/base/clock.ts";
import { findByArgument, killByIdentity } from "../../src/base/processes.ts";
import { eventually } from "../../src/base/testing/virtual-clock.ts";
import { chunkBytes } from "../../src/build/artifact.ts";
import { Failure } from "../../src/base/failure.ts";
import { MemoryServer, removeMemoryServer } from "../../src/memory/memory-server.ts";
import { ChunkWorld } from "../../src/memory/testing/chunk-world.ts";
import { encodeFrame, frameKind } from "../../src/memory/wire.ts";

const never = new AbortController().signal;
const program = path.join(import.meta.dirname, "testing/page-reader.ts");
const build = "a build";
/** In the middle of the third chunk: the kernel reads around a page, and would ask for a neighbour else. */
const missing = 2.5 * chunkBytes;

/** A file of four chunks: the first is on the shelf, the second is zeros, the others are the daemon's to bring. */
async function scene(bounds: { readonly stalledMs?: number; readonly withheldMsMax?: number } = {}) {
  const stack = new AsyncDisposableStack();
  const world = stack.use(await ChunkWorld.make());
  const parent = await mkdtemp(path.join(tmpdir(), "larder-served-"));
  stack.defer(() => rm(parent, { recursive: true }));
  const directory = path.join(parent, "mem-test");
  stack.defer(() => removeMemoryServer(directory, clock));
  const asked: number[] = [];
  const news: string[] = [];
  /** How a daemon answers; replaced by the test. */
  const daemon = { read: (chunk: number): Promise<Uint8Array> => Promise.resolve(world.chunk(chunk)) };
  const events = {
    read: (chunk: number) => {
      asked.push(chunk);
      return daemon.read(chunk);
    },
    onNews: (chunk: number, { what, pid }: { what: string; pid: number }) =>
      news.push(`${what} ${chunk} ${pid}`),
    onTouch: () => {},
    onTrouble: () => {},
  };
  const whole = { stalledMs: 60_000, withheldMsMax: 60_000, ...bounds };
  const place = { directory, build, source: world.path, table: world.table, clock };
  const server = await MemoryServer.start({ ...place, ...whole }, events, never);
  const find = () => MemoryServer.find({ directory, build, clock }, events, never);
  const dispose = () => stack.disposeAsync();
  return { asked, daemon, directory, find, news, server, world, [Symbol.asyncDispose]: dispose };
}

/** A process that maps the file and reads stretches of it. */
function reader(file: string, ...stretches: (readonly [offset: number, bytes: number])[]) {
  const words = stretches.map(([offset, bytes]) => `${offset}+${bytes}`);
  const child = spawn(process.execPath, [program, file, ...words], { stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  let complaints = "";
  child.stdout.on("data", (piece: Buffer) => (printed += String(piece)));
  child.stderr.on("data", (piece: Buffer) => (complaints += String(piece)));
  const ended = new Promise<{ code: number | null; signal: string | null; complaints: string }>((resolve) =>
    child.once("close", (code, signal) => resolve({ code, signal, complaints })),
  );
  return { pid: child.pid ?? 0, digests: () => printed.split("\n").slice(0, -1), ended };
}

const wellEnded = { code: 0, signal: null, complaints: "" };
const killed = { code: null, signal: "SIGKILL", complaints: "" };

function isMounted(directory: string): boolean {
  return readFileSync("/proc/self/mountinfo", "latin1").includes(directory);
}

async function assertGone(directory: string): Promise<void> {
  assert.deepEqual(await findByArgument(directory), []);
  assert.deepEqual([isMounted(directory), existsSync(directory)], [false, false]);
}

describe("The server of a memory file, over a real mount", () => {
  it("C29: gives a program that maps the file its bytes: from the shelf, zeros, a daemon that is late", async () => {
    await using world = await scene();
    const { asked, daemon, directory, server, world: chunks } = world;
    const late = Promise.withResolvers<void>();
    daemon.read = async (chunk) => {
      await late.promise;
      return chunks.chunk(chunk);
    };
    const all = [0, 1, 2, 3].map((chunk) => [chunk * chunkBytes, chunks.table.bytesOf(chunk)] as const);
    const reading = reader(server.path, ...all);
    await eventually(() => asked.length > 0);
    await eventually(() => reading.digests().length === 1);
    late.resolve();
    assert.deepEqual(await reading.ended, wellEnded);
    assert.deepEqual(
      reading.digests(),
      [0, 1, 2, 3].map((chunk) => hash("sha256", chunks.chunk(chunk))),
    );
    assert.deepEqual(
      asked.toSorted((a, b) => a - b),
      [2, 3],
    );
    await server.end();
    await assertGone(directory);
  });

  it("C29: tells of who waits as stalled, and kills it at the bound before any error could be seen", async () => {
    await using world = await scene({ stalledMs: 300, withheldMsMax: 1_200 });
    const { daemon, news, server } = world;
    daemon.read = () => new Promise(() => {});
    const reading = reader(server.path, [0, 100], [missing, 100]);
    await eventually(() => news.length > 0);
    assert.deepEqual(news, [`stalled 2 ${reading.pid}`]);
    // An error would have ended it by SIGBUS, or with a complaint.
    assert.deepEqual(await reading.ended, killed);
    assert.equal(reading.digests().length, 1);
    assert.deepEqual(news.slice(1), [`ended 2 ${reading.pid}`]);
    assert.deepEqual(await reader(server.path, [0, 100]).ended, wellEnded, "others read on");
  });

  it("C29: believes no daemon: bad bytes end the talk, and the next daemon is asked again", async () => {
    await using world = await scene();
    const { directory, find, server, world: chunks } = world;
    server.leave();
    const liar = createConnection(path.join(directory, "socket"));
    const hungUp = new Promise((resolve) => liar.once("close", resolve));
    liar.once("data", () => liar.write(encodeFrame(frameKind.chunk, 2, Buffer.alloc(chunkBytes, 9))));
    await hungUp;
    const reading = reader(server.path, [2 * chunkBytes, chunkBytes]);
    const next = await find();
    assert.deepEqual(await reading.ended, wellEnded);
    assert.deepEqual(reading.digests(), [hash("sha256", chunks.chunk(2))]);
    await next.end();
    await assertGone(directory);
  });

  it("C29: outlives its daemon: who waits goes on when the next one has come", async () => {
    await using world = await scene();
    const { asked, daemon, find, server, world: chunks } = world;
    daemon.read = () => new Promise(() => {});
    const reading = reader(server.path, [missing, 4096]);
    await eventually(() => asked.length === 1);
    server.leave();
    const fromShelf = reader(server.path, [0, 4096]);
    assert.deepEqual(await fromShelf.ended, wellEnded, "what the shelf has needs no daemon");
    daemon.read = (chunk) => Promise.resolve(chunks.chunk(chunk));
    const next = await find();
    assert.deepEqual(await reading.ended, wellEnded);
    assert.deepEqual(asked, [2, 2]);
    await next.end();
  });

  it("C29: lets whoever is being killed end at once while it waits", async () => {
    await using world = await scene();
    const { asked, daemon, server } = world;
    daemon.read = () => new Promise(() => {});
    const reading = reader(server.path, [missing, 100]);
    await eventually(() => asked.length === 1);
    const began = performance.now();
    process.kill(reading.pid, "SIGKILL");
    assert.deepEqual(await reading.ended, killed);
    assert.ok(performance.now() - began < 2_000);
  });

  it("C29: leaves nobody hanging when it is killed: its daemon learns it, and all of it can be removed", async () => {
    await using world = await scene();
    const { asked, daemon, directory, find, server } = world;
    daemon.read = () => new Promise(() => {});
    const reading = reader(server.path, [0, 100], [missing, 100]);
    await eventually(() => asked.length === 1);
    for (const each of await findByArgument(directory)) killByIdentity(each);
    await server.lost;
    const { signal } = await reading.ended;
    assert.equal(signal, "SIGBUS", "the kernel ends who has mapped what is no more");
    await assert.rejects(find(), (error) => Failure.is(error, "not_found"));
    await removeMemoryServer(directory, clock);
    await assertGone(directory);
  });
});
