import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { runCommand } from "./run-command.ts";

const never = new AbortController().signal;

describe("runCommand", () => {
  it("gives what was printed, tells each line meanwhile, and hands over input and environment", async () => {
    const lines: string[] = [];
    const options = { input: "in\n", env: { WORD: "out" }, onLine: (line: string) => void lines.push(line) };
    const output = await runCommand("sh", ["-c", "cat; echo $WORD; echo aside >&2"], options, never);
    assert.equal(output.toString(), "in\nout\n");
    assert.deepEqual(lines.toSorted(), ["aside", "in", "out"]);
  });

  it("quotes the last words of a program that fails", async () => {
    await assert.rejects(
      runCommand("sh", ["-c", "for i in 1 2 3 4 5 6 7 8; do echo line $i >&2; done; exit 3"], {}, never),
      (error) =>
        Failure.is(error, "internal") && /^sh failed with exit code 3: line 3 .* line 8$/.test(error.message),
    );
  });

  it("says which program is not installed", async () => {
    await assert.rejects(
      runCommand("larder-has-no-such-program", [], {}, never),
      (error) => Failure.is(error, "not_found") && /larder-has-no-such-program/.test(error.message),
    );
  });

  it("kills a program and all that it started when the caller gives up, though they ignore signals", async () => {
    const controller = new AbortController();
    const script = "trap '' TERM; (trap '' TERM; echo $$; sleep 1000) & echo started; wait";
    const started = Promise.withResolvers<void>();
    const onLine = (line: string) => line === "started" && started.resolve();
    const running = runCommand("sh", ["-c", script], { onLine }, controller.signal);
    await started.promise;
    controller.abort(new Failure("cancelled", "enough"));
    // It settles only when the last of them has let go of its output.
    await assert.rejects(running, (error) => Failure.is(error, "cancelled"));
  });

  it("starts nothing for a caller who has given up already", async () => {
    const aborted = AbortSignal.abort(new Failure("cancelled", "enough"));
    await assert.rejects(runCommand("sh", ["-c", "exit 1"], {}, aborted), { code: "cancelled" });
  });
});
