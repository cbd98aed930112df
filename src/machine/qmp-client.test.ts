import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import { QmpClient, type QmpEvent } from "./qmp-client.ts";
import { FakeVmm } from "./testing/fake-vmm.ts";

const never = new AbortController().signal;
const done = new Failure("unavailable", "the test is over");

async function connected(whyClosed?: () => Promise<Failure>) {
  const vmm = await FakeVmm.listen();
  const events: QmpEvent[] = [];
  const told = Promise.withResolvers<QmpEvent>();
  const onEvent = (event: QmpEvent) => {
    events.push(event);
    told.resolve(event);
  };
  const options = { path: vmm.path, onEvent, ...(whyClosed === undefined ? {} : { whyClosed }) };
  const client = await QmpClient.connect(options, never);
  const end = async () => {
    client.destroy(done);
    await vmm[Symbol.asyncDispose]();
  };
  return { vmm, client, events, firstEvent: told.promise, [Symbol.asyncDispose]: end };
}

describe("QmpClient", () => {
  it("negotiates, then sends commands with their arguments and resolves with what they return", async () => {
    const census = takeCensus();
    {
      await using room = await connected();
      room.vmm.answer = () => ({ return: { status: "running" } });
      assert.deepEqual(await room.client.execute("query-status", { deep: true }, never), {
        status: "running",
      });
      assert.deepEqual(
        room.vmm.asked.map(({ execute, arguments: args }) => [execute, args]),
        [
          ["qmp_capabilities", {}],
          ["query-status", { deep: true }],
        ],
      );
    }
    await assertNothingLeft(census);
  });

  it("matches answers that come out of order, in pieces and between events", async () => {
    await using room = await connected();
    const ids = new Map<string, number>();
    room.vmm.answer = ({ execute, id }) => {
      ids.set(execute, id);
      if (ids.size < 2) return undefined;
      const line = JSON.stringify({ return: "of b", id: ids.get("b") });
      room.vmm.say(line.slice(0, 5));
      room.vmm.say(`${line.slice(5)}\n{"event":"STOP","data":{"a":1},"timestamp":{}}\n`);
      room.vmm.tell({ return: "of a", id: ids.get("a") });
      return undefined;
    };
    const answers = await Promise.all(["a", "b"].map((name) => room.client.execute(name, {}, never)));
    assert.deepEqual(answers, ["of a", "of b"]);
    assert.deepEqual(room.events, [{ event: "STOP", data: { a: 1 } }]);
  });

  it("fails with the VMM's own words when it refuses, and takes the next command", async () => {
    await using room = await connected();
    room.vmm.answer = ({ execute }) =>
      execute === "bad"
        ? { error: { class: "GenericError", desc: "no\nsuch \u001b[1mthing" } }
        : { return: 1 };
    await assert.rejects(room.client.execute("bad", {}, never), {
      code: "internal",
      message: "the VMM refused bad: no; such [1mthing",
    });
    assert.equal(await room.client.execute("good", {}, never), 1);
  });

  it("survives refusals and events that are not what they should be", async () => {
    await using room = await connected();
    room.vmm.answer = () => ({ error: null });
    await assert.rejects(room.client.execute("a", {}, never), /refused a: no reason given/);
    room.vmm.answer = () => ({ error: { desc: 7 } });
    await assert.rejects(room.client.execute("b", {}, never), /refused b: no reason given/);
    room.vmm.tell({ event: "ODD", data: "text" });
    room.vmm.tell({ return: "for nobody", id: 999 });
    room.vmm.tell({ return: "for nobody", id: "1" });
    assert.deepEqual(await room.firstEvent, { event: "ODD" });
  });

  it("lets the wait of a caller end, and nobody else's", async () => {
    await using room = await connected();
    room.vmm.answer = ({ execute }) => (execute === "slow" ? undefined : { return: execute });
    const caller = new AbortController();
    const slow = room.client.execute("slow", {}, caller.signal);
    caller.abort(new Failure("cancelled", "enough"));
    await assert.rejects(slow, { code: "cancelled", message: "enough" });
    assert.equal(await room.client.execute("next", {}, never), "next");
    await assert.rejects(room.client.execute("late", {}, caller.signal), { code: "cancelled" });
    assert.equal(
      room.vmm.asked.some(({ execute }) => execute === "late"),
      false,
    );
  });

  it("refuses more waiting commands than it can remember", async () => {
    await using room = await connected();
    room.vmm.answer = () => undefined;
    const waiting = Array.from({ length: 64 }, () => room.client.execute("slow", {}, never));
    await assert.rejects(room.client.execute("one more", {}, never), { code: "exhausted" });
    room.client.destroy(done);
    for (const each of waiting) await assert.rejects(each, done);
  });

  it("fails waiting and later commands with the reason for a VMM's hanging up", async () => {
    const why = Promise.withResolvers<Failure>();
    await using room = await connected(() => why.promise);
    room.vmm.answer = () => undefined;
    const waiting = room.client.execute("slow", {}, never);
    room.vmm.hangUp();
    why.resolve(new Failure("unavailable", "the machine ended by SIGKILL"));
    await assert.rejects(waiting, { code: "unavailable", message: "the machine ended by SIGKILL" });
    await assert.rejects(room.client.execute("later", {}, never), /ended by SIGKILL/);
  });

  it("says that the VMM hung up when nobody knows why", async () => {
    await using room = await connected(() => Promise.reject(new Error("nobody knows")));
    room.vmm.answer = () => undefined;
    const waiting = room.client.execute("slow", {}, never);
    room.vmm.hangUp();
    await assert.rejects(waiting, { code: "unavailable", message: "the VMM closed its control socket" });
  });

  for (const [what, text, message] of [
    ["an endless line", "x".repeat(2 << 20), /endless line/],
    ["what is no JSON", "hello?\n", /not its protocol/],
    ["what is no object", "17\n", /not its protocol/],
    ["null", "null\n", /not its protocol/],
  ] as const) {
    it(`breaks with a VMM that sends ${what}`, async () => {
      await using room = await connected();
      room.vmm.answer = () => undefined;
      const waiting = room.client.execute("slow", {}, never);
      room.vmm.say(text);
      await assert.rejects(waiting, { code: "corrupt", message });
      await assert.rejects(room.client.execute("later", {}, never), { code: "corrupt" });
    });
  }

  it("fails to connect with a code that says whether to try again, and leaves nothing open", async () => {
    const census = takeCensus();
    const connect = (path: string, signal: AbortSignal) =>
      QmpClient.connect({ path, onEvent: () => {} }, signal);
    await assert.rejects(connect("/nowhere/qmp", never), { code: "not_found" });
    const aborted = AbortSignal.abort(new Failure("cancelled", "not any more"));
    await assert.rejects(connect("/nowhere/qmp", aborted), { code: "cancelled", message: "not any more" });
    await assertNothingLeft(census);
  });
});
