import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { settled } from "../base/testing/virtual-clock.ts";
import { Room } from "./room.ts";

describe("room", () => {
  it("C18: holds up nobody who has left, and what comes for him later is given back", async () => {
    const evicting = Promise.withResolvers<void>();
    const room = new Room({ bytesMax: 10, makeRoom: () => evicting.promise, isCrowded: async () => false });
    using all = await room.tryReserve(10, new AbortController().signal);
    const leaving = new AbortController();
    const waiting = room.tryReserve(5, leaving.signal);
    const left = assert.rejects(waiting, { message: "gone" });
    await settled();
    leaving.abort(new Error("gone"));
    await left;
    all?.[Symbol.dispose]();
    evicting.resolve();
    await settled();
    assert.equal(room.reservedBytes, 0);
  });
});
