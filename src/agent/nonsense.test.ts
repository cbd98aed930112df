import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { systemClock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { silentLogger } from "../base/logger.ts";
import { systemRandom } from "../base/random.ts";
import { AgentChannel } from "./channel.ts";
import { encodeAnswer, PreambleSplitter } from "./protocol/preamble.ts";
import { patience } from "./testing/agent-fixture.ts";

const quiet = { clock: systemClock, random: systemRandom, logger: silentLogger };

describe("a guest that talks nonsense", () => {
  /** Answers the preamble as a guest does, and then says `nonsense`. */
  async function withGuest(nonsense: Buffer, use: (channel: AgentChannel) => Promise<void>): Promise<void> {
    const directory = await mkdtemp(join(tmpdir(), "larder-nonsense-"));
    const path = join(directory, "channel");
    const secret = randomBytes(16);
    const server = createServer((socket) => {
      const splitter = new PreambleSplitter(secret);
      socket.on("error", () => {});
      socket.on("data", (bytes) => {
        for (const piece of splitter.push(bytes)) {
          if (piece.kind === "preamble") {
            socket.write(Buffer.concat([encodeAnswer(piece.preamble.nonce), nonsense]));
          }
        }
      });
    });
    await once(server.listen(path), "listening");
    try {
      await use(await AgentChannel.connect({ ...quiet, path, secret, nextSecret: secret }, patience()));
    } finally {
      server.close();
      await rm(directory, { recursive: true });
    }
  }

  const frame = (type: number, flags: number, stream: number, payload: Buffer) => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head[3] = type;
    head[4] = flags;
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  };
  const settings = frame(4, 0, 0, Buffer.alloc(0));
  const kinds = {
    "random bytes": randomBytes(4096),
    "frames for streams that nobody opened": Buffer.concat([settings, frame(0, 0, 99, Buffer.alloc(10))]),
    "a promise": Buffer.concat([settings, frame(5, 4, 1, Buffer.from([0, 0, 0, 2, 0x88]))]),
    "headers that never end": Buffer.concat([
      settings,
      frame(1, 0, 1, Buffer.alloc(16_000, 0x40)),
      ...Array.from({ length: 64 }, () => frame(9, 0, 1, Buffer.alloc(16_000, 0x41))),
    ]),
    "a frame larger than agreed": frame(0, 0, 1, Buffer.alloc(1024 * 1024)),
  };
  for (const [kind, bytes] of Object.entries(kinds)) {
    it(`ends the channel: ${kind}`, async () => {
      await withGuest(bytes, async (channel) => {
        const asked = channel.request({ method: "GET", path: "/health", headers: {} }, patience());
        await assert.rejects(asked, (error) => Failure.is(error, "unavailable"));
        await channel.closed;
      });
    });
  }
});
