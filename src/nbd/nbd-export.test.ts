import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { assertNothingLeft, type Census, takeCensus } from "../base/testing/census.ts";
import { MemoryLogger } from "../base/testing/memory-logger.ts";
import { MemoryMeter } from "../base/testing/memory-meter.ts";
import { NbdExport, type NbdExportOptions } from "./nbd-export.ts";
import { command } from "./protocol.ts";
import { ArrayDevice } from "./testing/array-device.ts";
import { dataOf, structuredReplies } from "./testing/reply-parser.ts";
import { modernHandshake, requestMessage } from "./testing/requests.ts";

let directory: string;
let socketPath: string;
let before: Census;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "nbd-"));
  socketPath = path.join(directory, "disk.sock");
  before = takeCensus();
});

afterEach(async () => {
  await assertNothingLeft(before);
  await rm(directory, { recursive: true });
});

function listen(device: ArrayDevice, options: Partial<NbdExportOptions> = {}): Promise<NbdExport> {
  const logger = new MemoryLogger();
  return NbdExport.listen({ path: socketPath, device, logger, meter: new MemoryMeter(), ...options });
}

/** A client that has read the whole greeting. */
async function connected(): Promise<Socket> {
  const socket = createConnection(socketPath);
  await once(socket, "readable");
  assert.equal((socket.read(18) as Buffer).length, 18);
  return socket;
}

/** Sends everything and gives what comes back until the server hangs up. */
async function talk(socket: Socket, ...messages: Buffer[]): Promise<Buffer> {
  socket.write(Buffer.concat(messages));
  return Buffer.concat((await socket.toArray()) as Buffer[]);
}

/** How long the answers to the handshake are. */
const handshakeAnswerBytes = 20 + (20 + 4 + 15) + 20 + (20 + 12) + (20 + 14) + 20;

describe("NbdExport", () => {
  it("serves several clients at once over one socket and is gone after close()", async () => {
    const device = ArrayDevice.striped(1 << 20);
    await using nbdExport = await listen(device);
    const requests = Array.from({ length: 64 }, (_, n) =>
      requestMessage({ command: command.read, cookie: BigInt(n), offset: n * 16384, bytes: 16384 }),
    );
    const end = requestMessage({ command: command.disconnect });
    const clients = await Promise.all([connected(), connected(), connected()]);
    assert.equal(nbdExport.connections, 3);
    const answers = await Promise.all(
      clients.map((client) => talk(client, ...modernHandshake(), ...requests, end)),
    );
    for (const answer of answers) {
      const replies = structuredReplies(answer.subarray(handshakeAnswerBytes));
      assert.ok(Buffer.concat(replies.map(dataOf)).equals(device.data));
    }
    await nbdExport.close();
    assert.equal(nbdExport.connections, 0);
    assert.equal(existsSync(socketPath), false);
  });

  it("makes its socket with the permissions asked for, and else for its owner alone", async () => {
    const mode = () => statSync(socketPath).mode & 0o777;
    {
      await using _mine = await listen(new ArrayDevice(Buffer.alloc(4096)));
      assert.equal(mode(), 0o600);
    }
    await using _theirs = await listen(new ArrayDevice(Buffer.alloc(4096)), { mode: 0o660 });
    assert.equal(mode(), 0o660);
  });

  it("takes the place of a socket that nobody listens at, but not of one that is answered", async () => {
    await leaveSocketBehind(socketPath);
    assert.ok(existsSync(socketPath));
    await using _first = await listen(new ArrayDevice(Buffer.alloc(4096)));
    await assert.rejects(listen(new ArrayDevice(Buffer.alloc(4096))), (error) =>
      Failure.is(error, "conflict"),
    );
    (await connected()).destroy();
  });

  it("refuses a path that is too long for a socket, and a directory that is not there", async () => {
    const device = new ArrayDevice(Buffer.alloc(4096));
    const long = path.join(directory, "x".repeat(100));
    await assert.rejects(listen(device, { path: long }), (error) => Failure.is(error, "invalid"));
    const missing = path.join(directory, "missing", "disk.sock");
    await assert.rejects(listen(device, { path: missing }), (error) => error instanceof Failure);
  });

  it("hangs up on one client too many", async () => {
    const logger = new MemoryLogger();
    await using _nbdExport = await listen(new ArrayDevice(Buffer.alloc(4096)), {
      limits: { connectionsMax: 1 },
      logger,
    });
    const first = await connected();
    const second = createConnection(socketPath);
    second.on("error", () => {});
    await once(second, "close");
    assert.equal(logger.warnings.length, 1);
    first.destroy();
  });

  it("waits in close() for reads that are under way and answers them", async () => {
    const device = ArrayDevice.striped(1 << 20);
    device.hot = false;
    const [started, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    device.beforeRead = async () => {
      started.resolve();
      await gate.promise;
    };
    await using nbdExport = await listen(device);
    const read = requestMessage({ command: command.read, offset: 4096, bytes: 4096 });
    const answer = talk(await connected(), ...modernHandshake(), read);
    await started.promise;
    const closing = nbdExport.close();
    assert.equal(device.underWay, 1);
    gate.resolve();
    await closing;
    const [reply] = structuredReplies((await answer).subarray(handshakeAnswerBytes));
    assert.ok(reply !== undefined && dataOf(reply).equals(device.data.subarray(4096, 8192)));
  });

  it("does not wait in destroy(): reads are aborted with its reason and clients hung up on", async () => {
    const device = ArrayDevice.striped(1 << 20);
    device.hot = false;
    const started = Promise.withResolvers<AbortSignal>();
    device.read = (_offset, _into, signal) => {
      started.resolve(signal);
      return new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      });
    };
    await using nbdExport = await listen(device);
    const answer = talk(await connected(), ...modernHandshake(), requestMessage({ command: 0, bytes: 1 }));
    const signal = await started.promise;
    const reason = new Failure("cancelled", "the machine has ended");
    nbdExport.destroy(reason);
    nbdExport.destroy(reason);
    assert.equal(signal.reason, reason);
    await answer.catch(() => {});
    await nbdExport.close();
    assert.equal(nbdExport.connections, 0);
  });

  it("can be closed while clients are in the middle of their handshake", async () => {
    await using nbdExport = await listen(new ArrayDevice(Buffer.alloc(4096)));
    const client = await connected();
    await nbdExport.close();
    await once(client.resume(), "close");
  });
});

/** Leaves a socket file of a listener that was killed: closing it while it has another name removes only that name. */
async function leaveSocketBehind(at: string): Promise<void> {
  const { rename } = await import("node:fs/promises");
  const server = createServer().listen(`${at}.first`);
  await once(server, "listening");
  await rename(`${at}.first`, at);
  server.close();
  await once(server, "close");
}
