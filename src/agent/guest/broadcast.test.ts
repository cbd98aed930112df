import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Broadcast } from "./broadcast.ts";

const piece = () => ({ bytes: new Uint8Array(64 * 1024) });

describe("Broadcast", () => {
  it("gives every event to every subscriber in order, however slow", async () => {
    const broadcast = new Broadcast<{ n: number; bytes?: Uint8Array }>(() => {});
    using quick = broadcast.subscribe();
    using slow = broadcast.subscribe();
    for (let n = 0; n < 5; n++) {
      broadcast.publish({ n });
      assert.equal((await quick.next())?.n, n);
    }
    for (let n = 0; n < 5; n++) assert.equal((await slow.next())?.n, n);
  });

  it("stops the source while all subscribers have too much unread, and lets it go on below half", async () => {
    const flow: boolean[] = [];
    const broadcast = new Broadcast((on) => flow.push(on));
    using slow = broadcast.subscribe();
    using _slower = broadcast.subscribe();
    for (let i = 0; i < 4; i++) broadcast.publish(piece());
    assert.deepEqual(flow, [false]);
    await slow.next();
    await slow.next();
    assert.deepEqual(flow, [false]);
    await slow.next();
    assert.deepEqual(flow, [false, true]);
  });

  it("cuts off who falls too far behind the others, and holds up neither them nor the source", async () => {
    const flow: boolean[] = [];
    const broadcast = new Broadcast<{ bytes: Uint8Array }>((on) => flow.push(on));
    using quick = broadcast.subscribe();
    using slow = broadcast.subscribe();
    using waiting = broadcast.subscribe();
    for (let i = 0; i < 64; i++) {
      broadcast.publish(piece());
      for (const each of [quick, waiting]) assert.equal((await each.next())?.bytes.length, 65_536);
    }
    assert.ok((await slow.next()) !== undefined, "four mebibytes behind it has lost nothing");
    for (let i = 0; i < 2; i++) {
      broadcast.publish(piece());
      await quick.next();
    }
    await assert.rejects(slow.next(), /were not read/);
    await assert.rejects(slow.next(), /were not read/);
    assert.ok((await waiting.next()) !== undefined);
    assert.deepEqual(flow, [], "the source was never stopped");
  });

  it("lets the source go on when the one who was slow leaves, and never stops it for nobody", () => {
    const flow: boolean[] = [];
    const broadcast = new Broadcast((on) => flow.push(on));
    const slow = broadcast.subscribe();
    for (let i = 0; i < 9; i++) broadcast.publish(piece());
    slow[Symbol.dispose]();
    for (let i = 0; i < 9; i++) broadcast.publish(piece());
    assert.deepEqual(flow, [false, true]);
  });

  it("ends a wait without an event when it is interrupted, and loses nothing by it", async () => {
    const broadcast = new Broadcast<{ n: number; bytes?: Uint8Array }>(() => {});
    using subscription = broadcast.subscribe();
    const waiting = subscription.next();
    subscription.interrupt();
    assert.equal(await waiting, undefined);
    broadcast.publish({ n: 1 });
    assert.equal((await subscription.next())?.n, 1);
  });
});
