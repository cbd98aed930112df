import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { describe, it } from "node:test";
import { settled } from "../base/testing/virtual-clock.ts";
import { Outbox } from "./outbox.ts";
import { StreamSink } from "./sink.ts";
import { SlabPool } from "../base/slab-pool.ts";

/** A client's end that keeps what it takes, and takes it when it is told to. */
class SlowSink extends Writable {
  readonly written: Buffer[] = [];
  #take: (() => void) | undefined;

  override _writev(pieces: { chunk: Buffer }[], callback: () => void): void {
    this._write(Buffer.concat(pieces.map(({ chunk }) => chunk)), "buffer", callback);
  }

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.#take = () => {
      this.written.push(Buffer.from(chunk));
      callback();
    };
  }

  async take(): Promise<string | undefined> {
    await settled();
    this.#take?.();
    await settled();
    return this.written.at(-1)?.toString();
  }
}

function outboxOf(slabBytes: number) {
  const sink = new SlowSink();
  const slabs = new SlabPool({ slabBytes, idleMax: 4 });
  let taken = 0;
  const outbox = new Outbox(new StreamSink(sink), slabs, () => (taken += 1));
  return { outbox, sink, slabs, taken: () => taken };
}

describe("Outbox", () => {
  it("sends what was carved together in one write, and counts it until it is taken", async () => {
    const { outbox, sink, taken } = outboxOf(16);
    outbox.carve(3).write("abc");
    outbox.append(Buffer.from("de"));
    outbox.carve(4).write("gone");
    outbox.uncarve(4);
    outbox.append(Buffer.from("f"));
    assert.equal(outbox.bytes, 6);
    outbox.flush();
    assert.equal(outbox.bytes, 6);
    assert.equal(await sink.take(), "abcdef");
    assert.equal(outbox.bytes, 0);
    assert.equal(taken(), 1);
  });

  it("never lets a slab be filled again before it was taken", async () => {
    const { outbox, sink } = outboxOf(4);
    for (const text of ["aaaa", "bbbb", "cc"]) {
      outbox.append(Buffer.from(text));
      outbox.flush();
    }
    assert.equal(await sink.take(), "aaaa");
    outbox.append(Buffer.from("dddd"));
    outbox.flush();
    await sink.take();
    await sink.take();
    assert.equal(Buffer.concat(sink.written).toString(), "aaaabbbbccdddd");
  });

  it("gives each slab back once, and what was too large for a slab to nobody", async () => {
    const { outbox, sink, slabs } = outboxOf(4);
    outbox.append(Buffer.from("larger than a slab"));
    outbox.append(Buffer.from("slab"));
    outbox.flush();
    await sink.take();
    await sink.take();
    const [first, second] = [slabs.take(), slabs.take()];
    assert.deepEqual([first.length, second.length], [4, 4]);
    assert.notEqual(first, second);
    assert.equal(first.toString(), "slab", "the one that was given back is used again");
  });

  it("sends replies that are ready in one turn of the loop in one write", async () => {
    const { outbox, sink } = outboxOf(4);
    for (const text of ["one ", "two ", "three"]) outbox.send(Buffer.from(text));
    assert.equal(await sink.take(), "one two three");
    assert.equal(outbox.bytes, 0);
  });
});

describe("SlabPool", () => {
  it("keeps no more than it was told to", () => {
    const pool = new SlabPool({ slabBytes: 8, idleMax: 1 });
    const [first, second] = [pool.take(), pool.take()];
    pool.give(first);
    pool.give(second);
    assert.equal(pool.take(), first);
    const third = pool.take();
    assert.ok(third !== first && third !== second, "a slab belongs to one taker");
  });
});
