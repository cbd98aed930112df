import assert from "node:assert/strict";
import { it } from "node:test";
import { Failure } from "../base/failure.ts";
import { UidRange } from "./uid-range.ts";

it("UidRange lends each user once, and one that was given back as late as possible", () => {
  const range = new UidRange(100, 3);
  const first = range.take();
  assert.equal(first.uid, 100);
  first[Symbol.dispose]();
  const others = [range.take(), range.take(), range.take()];
  assert.deepEqual(
    others.map((lent) => lent.uid),
    [101, 102, 100],
  );
  first[Symbol.dispose]();
  assert.throws(
    () => range.take(),
    (error) => Failure.is(error, "exhausted"),
  );
  for (const lent of others) lent[Symbol.dispose]();
  assert.equal(range.lent, 0);
});
