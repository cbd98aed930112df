import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { settled } from "../base/testing/virtual-clock.ts";
import { BuildRoom } from "./build-room.ts";
import type { Room } from "./room.ts";

describe("the room of a build", () => {
  it("C9: is settled when what it keeps lies on the disk or not, although nobody waits for that", async () => {
    const recording = Promise.withResolvers<boolean>();
    const room = new BuildRoom({} as Room, false, () => recording.promise);
    const leaving = new AbortController();
    const waiting = assert.rejects(room.tryReserve(1, leaving.signal), { code: "cancelled" });
    leaving.abort(new Failure("cancelled", "gone"));
    await waiting;
    let isSettled = false;
    const settling = room.settled().then(() => (isSettled = true));
    await settled();
    assert.equal(isSettled, false);
    recording.reject(new Failure("exhausted", "the disk is full"));
    await settling;
    await room.settled();
  });
});
