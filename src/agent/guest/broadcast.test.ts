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

  it("stops the source while the slowest subscriber has too much unread, and lets it go on below half", async () => {
    const flow: boolean[] = [];
    const broadcast = new Broadcast((on) => flow.push(on));
    using slow = broadcast.subscribe();
    for (let i = 0; i < 4; i++) broadcast.publish(piece());
    assert.deepEqual(flow, [false]);
    await slow.next();
    await slow.next();
    assert.deepEqual(flow, [false]);
    await slow.next();
    assert.deepEqual(flow, [false, true]);
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
