import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { checkTimers } from "./settle.ts";

describe("checkTimers", () => {
  it("refuses a guest that is woken by the timer of an old PC", () => {
    for (const well of ["lapic\n", "lapic-deadline\nlapic-deadline\n", ""]) checkTimers(well);
    assert.throws(
      () => checkTimers("lapic\npit\n"),
      (error) => Failure.is(error, "unavailable") && /'pit'/.test(error.message),
    );
  });
});
