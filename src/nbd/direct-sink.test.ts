import assert from "node:assert/strict";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import type { Failure } from "../base/failure.ts";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import { DirectSink } from "./direct-sink.ts";

interface Scene {
  readonly sink: DirectSink;
  readonly socket: Socket;
  /** The client's end; it reads only what the test takes. */
  readonly client: Socket;
  readonly clock: VirtualClock;
  readonly broken: Failure[];
  readonly contents: Buffer;
  readonly descriptor: number;
  readonly file: string;
}

/** Two ends of a real socket, and a file of 4 MiB: more than fits into the socket. */
async function withSink(test: (scene: Scene) => Promise<void>): Promise<void> {
  const census = takeCensus();
  const directory = mkdtempSync(path.join(tmpdir(), "sink-"));
  const file = path.join(directory, "file");
  const contents = new SeededRandom(5).bytes(4 << 20);
  writeFileSync(file, contents);
  const descriptor = openSync(file, "r");
  const server = createServer({ pauseOnConnect: true }).listen(path.join(directory, "socket"));
  const client = createConnection(path.join(directory, "socket")).pause();
  const [[socket]] = (await Promise.all([once(server, "connection"), once(client, "connect")])) as [
    [Socket],
    [],
  ];
  for (const end of [socket, client]) end.on("error", () => {});
  const [clock, broken] = [new VirtualClock(), [] as Failure[]];
  const onBroken = (failure: Failure) => {
    broken.push(failure);
    socket.destroy();
  };
  const sink = new DirectSink({ socket, clock, onBroken });
  try {
    await test({ sink, socket, client, clock, broken, contents, descriptor, file });
  } finally {
    socket.destroy();
    client.destroy();
    server.close();
    closeSync(descriptor);
    rmSync(directory, { recursive: true });
  }
  await assertNothingLeft(census);
}

async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe("DirectSink", () => {
  it("sends bytes and stretches of files in the order given, also to a client that is slower", () =>
    withSink(async ({ sink, socket, client, contents, descriptor }) => {
      const random = new SeededRandom(1);
      const expected: Buffer[] = [];
      let taken = 0;
      for (let n = 0; n < 40; n++) {
        const bytes = 1 + random.below(300_000);
        const position = random.below(contents.length - bytes);
        const part = contents.subarray(position, position + bytes);
        expected.push(part);
        if (n % 2 === 0) sink.writeFile({ descriptor, position, bytes }, () => (taken += 1));
        else sink.write(part, () => (taken += 1));
      }
      assert.ok(taken < 40, "not everything fits into the socket");
      void sink.idle().then(() => socket.end());
      const received = Buffer.concat((await client.toArray()) as Buffer[]);
      assert.ok(received.equals(Buffer.concat(expected)));
      assert.equal(taken, 40);
    }));

  it("C10: lets go of files only when the client has taken what was sent of them, and copies what waits", () =>
    withSink(async ({ sink, socket, client, clock, contents, descriptor, file }) => {
      for (let position = 0; position < contents.length; position += 1 << 20)
        sink.writeFile({ descriptor, position, bytes: 1 << 20 }, () => {});
      let gone = false;
      const going = sink.letGoOfFiles().then(() => (gone = true));
      await clock.advance(1000);
      assert.equal(gone, false);
      const read = client.toArray();
      void turns().then(() => clock.advance(1000));
      await going;
      truncateSync(file, 0);
      void sink.idle().then(() => socket.end());
      assert.ok(Buffer.concat((await read) as Buffer[]).equals(contents));
    }));

  it("counts as taken what a client that has gone will never take", () =>
    withSink(async ({ sink, socket, client, descriptor }) => {
      let taken = 0;
      for (let n = 0; n < 4; n++)
        sink.writeFile({ descriptor, position: 0, bytes: 1 << 20 }, () => (taken += 1));
      sink.write(Buffer.from("more"), () => (taken += 1));
      client.destroy();
      socket.resume();
      await sink.idle();
      assert.equal(taken, 5);
      await sink.letGoOfFiles();
    }));

  it("breaks off when a file is shorter than it was", () =>
    withSink(async ({ sink, broken, descriptor, file }) => {
      truncateSync(file, 1000);
      let taken = 0;
      sink.writeFile({ descriptor, position: 0, bytes: 2000 }, () => (taken += 1));
      assert.deepEqual([broken.map(({ code }) => code), taken], [["corrupt"], 1]);
    }));
});
