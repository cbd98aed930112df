import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Agreement, greeting, negotiate, type Turn } from "./handshake.ts";
import { option, optionReply } from "./protocol.ts";
import { contextPayload, infoPayload } from "./testing/requests.ts";

const offer = { name: "disk", description: "the root disk", bytes: 5 * 2 ** 32, requestBytesMax: 1 << 25 };
const fresh: Agreement = { noZeroes: true, structured: false };
const structured: Agreement = { noZeroes: true, structured: true };
const empty = Buffer.alloc(0);

/** The replies within an answer: type and payload. */
function repliesOf({ answer }: Turn): { type: number; payload: Buffer }[] {
  const replies = [];
  for (let at = 0; at < answer.length; ) {
    assert.equal(answer.readBigUInt64BE(at), 0x3e889045565a9n);
    const end = at + 20 + answer.readUInt32BE(at + 16);
    replies.push({ type: answer.readUInt32BE(at + 12), payload: answer.subarray(at + 20, end) });
    at = end;
  }
  return replies;
}

function typesOf(turn: Turn): number[] {
  return repliesOf(turn).map(({ type }) => type);
}

describe("the handshake", () => {
  it("greets with both magics and fixed newstyle", () => {
    const bytes = greeting();
    assert.equal(bytes.subarray(0, 16).toString(), "NBDMAGICIHAVEOPT");
    assert.equal(bytes.readUInt16BE(16), 3);
  });

  it("lists the one export with its description", () => {
    const [server, ack] = repliesOf(negotiate(fresh, option.list, empty, offer));
    assert.equal(server?.payload.toString("latin1"), "\0\0\0\x04diskthe root disk");
    assert.equal(ack?.type, optionReply.ack);
  });

  it("tells size, flags and block sizes, and begins only on GO", () => {
    const turn = negotiate(structured, option.info, infoPayload("disk", [1, 2]), offer);
    assert.equal(turn.next, "options");
    const [size, blocks, name, description, ack] = repliesOf(turn);
    assert.equal(size?.payload.readBigUInt64BE(2), 5n * 2n ** 32n);
    assert.equal(size?.payload.readUInt16BE(10), 1 | 2 | 128 | 256, "read-only, DF, several connections");
    assert.equal(blocks?.payload.readUInt32BE(10), 1 << 25);
    assert.equal(name?.payload.toString("latin1"), "\0\x01disk");
    assert.equal(description?.payload.toString("latin1"), "\0\x02the root disk");
    assert.equal(ack?.type, optionReply.ack);
    const go = negotiate(fresh, option.go, infoPayload(""), offer);
    assert.ok(go.next === "transmission");
    assert.deepEqual(go.terms, { structured: false, allocation: false });
    assert.equal(repliesOf(go)[0]?.payload.readUInt16BE(10), 1 | 2 | 256, "no DF without structured replies");
  });

  it("serves the old EXPORT_NAME, with the zeros that old clients expect", () => {
    const old = negotiate({ noZeroes: false, structured: false }, option.exportName, empty, offer);
    assert.equal(old.next, "transmission");
    assert.equal(old.answer.length, 134);
    assert.equal(negotiate(fresh, option.exportName, Buffer.from("disk"), offer).answer.length, 10);
  });

  it("refuses an export of another name, and hangs up where no refusal is possible", () => {
    const go = negotiate(fresh, option.go, infoPayload("other"), offer);
    assert.equal(go.next, "options");
    assert.deepEqual(typesOf(go), [optionReply.unknownExport]);
    const old = negotiate(fresh, option.exportName, Buffer.from("other"), offer);
    assert.ok(old.next === "end");
    assert.equal(old.complaint, 'no export is called "other"');
    assert.equal(old.answer.length, 0);
  });

  it("refuses TLS by name and unknown options by number", () => {
    const [tls] = repliesOf(negotiate(fresh, option.startTls, empty, offer));
    assert.equal(tls?.type, optionReply.policy);
    assert.match(String(tls?.payload), /TLS/);
    const [unknown] = repliesOf(negotiate(fresh, 11, empty, offer));
    assert.equal(unknown?.type, optionReply.unsupported);
  });

  it("acknowledges ABORT and ends without a complaint", () => {
    const turn = negotiate(fresh, option.abort, empty, offer);
    assert.ok(turn.next === "end");
    assert.equal(turn.complaint, undefined);
    assert.deepEqual(typesOf(turn), [optionReply.ack]);
  });

  it("answers nonsense with ERR_INVALID, hangs up and says why", () => {
    const turn = negotiate(fresh, option.go, Buffer.from("\0\0\0\x09disk"), offer);
    assert.ok(turn.next === "end");
    assert.equal(turn.complaint, "go: info request: ends 5 bytes too early");
    assert.deepEqual(typesOf(turn), [optionReply.invalid]);
  });

  it("answers any payload of any option without throwing", () => {
    const id = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.nat());
    fc.assert(
      fc.property(id, fc.uint8Array({ maxLength: 60 }), fc.boolean(), (id, payload, isStructured) => {
        const agreement = { noZeroes: true, structured: isStructured };
        const turn = negotiate(agreement, id, Buffer.from(payload), offer);
        if (turn.next !== "transmission") repliesOf(turn);
      }),
      { numRuns: 500 },
    );
  });
});

describe("the meta context", () => {
  const ask = (id: number, queries: string[], agreement = structured, name = "disk") =>
    negotiate(agreement, id, contextPayload(name, queries), offer);
  const { listMetaContext: list, setMetaContext: set } = option;

  it("needs structured replies first", () => {
    assert.deepEqual(typesOf(ask(set, ["base:allocation"], fresh)), [optionReply.invalid]);
  });

  it("is listed for no query, for its namespace and for its name, and for nothing else", () => {
    for (const queries of [[], ["base:"], ["other:", "base:allocation"]]) {
      assert.deepEqual(typesOf(ask(list, queries)), [optionReply.metaContext, optionReply.ack]);
    }
    assert.deepEqual(typesOf(ask(list, ["base:dirty", "qemu:"])), [optionReply.ack]);
  });

  it("is set only by its full name, and unset by the next request that does not name it", () => {
    const turn = ask(set, ["base:allocation"]);
    assert.ok(turn.next === "options");
    assert.equal(turn.agreement.allocationOf, "disk");
    for (const queries of [[], ["base:"]]) {
      const next = ask(set, queries, turn.agreement);
      assert.ok(next.next === "options");
      assert.equal(next.agreement.allocationOf, undefined);
    }
  });

  it("counts only for the export name that it was set for", () => {
    const agreement = { ...structured, allocationOf: "disk" };
    const same = negotiate(agreement, option.go, infoPayload("disk"), offer);
    const other = negotiate(agreement, option.go, infoPayload(""), offer);
    assert.ok(same.next === "transmission" && other.next === "transmission");
    assert.deepEqual([same.terms.allocation, other.terms.allocation], [true, false]);
  });

  it("refuses more queries than its payload could hold before it makes room for them", () => {
    const payload = contextPayload("disk", []);
    payload.writeUInt32BE(0xffffffff, payload.length - 4);
    const turn = negotiate(structured, set, payload, offer);
    assert.ok(turn.next === "end");
    assert.match(turn.complaint ?? "", /4294967295 queries/);
  });
});
