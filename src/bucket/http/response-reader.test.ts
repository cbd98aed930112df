import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../../base/failure.ts";
import { VirtualClock } from "../../base/testing/virtual-clock.ts";
import { SlabPool } from "../../base/slab-pool.ts";
import { headBytesMax } from "./response-head.ts";
import { ResponseReader } from "./response-reader.ts";

describe("ResponseReader", () => {
  const ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a: 2\r\n\r\n";

  it("reads head and body however they are cut", async () => {
    const chunked =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nA: b\r\n\r\n";
    for (const text of [`${ok}hello`, `HTTP/1.1 100 Continue\r\n\r\n${ok}hello`, chunked]) {
      for (const step of [1, 2, 3, 7, 1000]) {
        const { feed, reader } = make();
        for (let at = 0; at < text.length; at += step) feed(text.slice(at, at + step));
        assert.equal((await reader.head).status, 200);
        assert.equal(await bodyOf(reader), "hello", `${step}`);
        assert.ok(reader.ended);
      }
    }
  });

  it("joins headers of one name, whatever their case", async () => {
    const { feed, reader } = make();
    feed(ok);
    assert.equal((await reader.head).headers.get("x-a"), "1, 2");
  });

  it("says when the connection may be used again", () => {
    const cases: [text: string, reusable: boolean][] = [
      [`${ok}hello`, true],
      ["HTTP/1.1 204 No Content\r\n\r\n", true],
      ["HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false],
    ];
    for (const [text, expected] of cases) {
      const { ends, feed } = make();
      feed(text);
      assert.deepEqual(ends, [expected]);
    }
  });

  it("reads what ends with the connection only as such", async () => {
    const { ends, feed, reader } = make();
    feed("HTTP/1.1 200 OK\r\n\r\nhello");
    reader.closed();
    assert.equal(await bodyOf(reader), "hello");
    assert.deepEqual(ends, [false]);
  });

  it("refuses what is no answer, or one that is cut, too long or ambiguous", async () => {
    const broken = [
      "SSH-2.0-x\r\n\r\n",
      "HTTP/1.1 200 OK\r\nno header\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
      `HTTP/1.1 200 OK\r\nX: ${"y".repeat(headBytesMax)}`,
      `${ok}hel`,
      `${ok}hello and more`,
      ok.slice(0, 20),
    ];
    for (const text of broken) {
      const { feed, reader } = make();
      feed(text);
      reader.closed();
      const reading = reader.head.then(() => bodyOf(reader));
      await assert.rejects(reading, (error) => Failure.is(error, "unavailable"), text.slice(0, 60));
    }
  });

  it("cuts a body by lack of progress, never by its time in all", async () => {
    const { clock, feed, reader, stalls } = make();
    feed("HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n");
    for (let i = 0; i < 20; i++) {
      const next = reader.next();
      await clock.advance(900);
      feed(".");
      assert.equal((await next)?.length, 1);
    }
    await clock.advance(60_000); // nobody waits: it is the reader who is slow
    const next = reader.next();
    next.catch(() => {});
    await clock.advance(1_000);
    await assert.rejects(next, /stalled for 1000 ms/);
    assert.deepEqual([stalls.length, clock.pending], [1, 0]);
  });

  it("asks to be fed no more while a lot lies unread, and says when there is room", async () => {
    const scene = make();
    const size = 4 * 2 ** 20;
    scene.feed(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    let fed = 0;
    while (scene.feed("x".repeat(2 ** 16))) fed += 2 ** 16;
    assert.ok(fed >= 2 ** 20 - 2 ** 17 && fed <= 2 ** 20, `${fed}`);
    while (scene.rooms === 0) await scene.reader.next();
    assert.ok(scene.feed("x"));
  });

  it("hands a body out in memory that is its reader's until it asks for more, and is used again then", async () => {
    const { feed, reader } = make();
    feed(`HTTP/1.1 200 OK\r\nContent-Length: ${3 * slabBytes}\r\n\r\n`);
    feed("a".repeat(slabBytes));
    const first = await reader.next();
    feed("b".repeat(slabBytes));
    assert.equal(Buffer.from(first ?? []).toString(), "a".repeat(slabBytes));
    const second = await reader.next();
    feed("c".repeat(slabBytes));
    assert.equal(Buffer.from(second ?? []).toString(), "b".repeat(slabBytes));
    const third = await reader.next();
    assert.equal(Buffer.from(third ?? []).toString(), "c".repeat(slabBytes));
    assert.ok(third?.buffer === first?.buffer, "the first was filled again");
    assert.equal(await reader.next(), undefined);
  });
});

const slabBytes = 64 * 1024;

/** `feed` puts text where the reader wants it, as a socket would. */
function make() {
  const clock = new VirtualClock();
  const ends: boolean[] = [];
  const stalls: Failure[] = [];
  const scene = { rooms: 0 };
  const slabs = new SlabPool({ slabBytes, idleMax: 4 });
  const reader = new ResponseReader({
    ...{ method: "GET", clock, scratch: Buffer.alloc(headBytesMax), stallMsMax: 1_000, slabs },
    onEnd: (reusable) => void ends.push(reusable),
    onRoom: () => void (scene.rooms += 1),
    onStall: (failure) => void stalls.push(failure),
  });
  const feed = (text: string): boolean => {
    let goesOn = true;
    for (let rest = Buffer.from(text); rest.length > 0 && !reader.ended; ) {
      const place = reader.room();
      const bytes = rest.copy(place);
      goesOn = reader.filled(bytes, place);
      rest = rest.subarray(bytes);
      if (bytes === 0) break;
    }
    return goesOn;
  };
  return Object.assign(scene, { clock, ends, feed, reader, stalls });
}

async function bodyOf(reader: ResponseReader): Promise<string> {
  const pieces: Uint8Array[] = [];
  for (let piece = await reader.next(); piece !== undefined; piece = await reader.next())
    pieces.push(Uint8Array.from(piece));
  return Buffer.concat(pieces).toString();
}
