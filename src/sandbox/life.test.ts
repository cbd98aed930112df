import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { Failure } from "../base/failure.ts";
import { settled } from "../base/testing/virtual-clock.ts";
import { Scene } from "./testing/scene.ts";

const never = new AbortController().signal;

/** Something that happens to one of the sandboxes, in whatever state it is. */
type Event =
  | { readonly kind: "create"; readonly timeoutMs: number }
  | { readonly kind: "advance"; readonly ms: number }
  | { readonly kind: "answer" | "fail" | "die" | "hangUp" | "kill" | "brokenKill"; readonly who: number }
  | { readonly kind: "connect" | "setTimeout"; readonly who: number; readonly ms: number }
  | { readonly kind: "pause"; readonly who: number; readonly memory: boolean }
  | {
      readonly kind: "fork" | "stall" | "captureFails" | "keepFails" | "stuck" | "traffic" | "open" | "close";
      readonly who: number;
    }
  | { readonly kind: "restart" };

const who = fc.nat({ max: 9 });
const ms = fc.integer({ min: 1, max: 30_000 });
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constant("create"), timeoutMs: ms }),
  fc.record({ kind: fc.constant("answer"), who }),
  fc.record({ kind: fc.constant("pause"), who, memory: fc.boolean() }),
  fc.record({ kind: fc.constantFrom("fork", "stall", "captureFails", "keepFails", "stuck", "traffic"), who }),
  fc.record({ kind: fc.constant("restart") }),
  fc.record({ kind: fc.constant("advance"), ms }),
  fc.record({ kind: fc.constantFrom("answer", "fail", "die", "hangUp", "kill", "brokenKill"), who }),
  fc.record({ kind: fc.constantFrom("connect", "setTimeout"), who, ms }),
  fc.record({ kind: fc.constantFrom("open", "close"), who }),
);

/** Outcomes that a client may see, whatever races with what. Anything else is a bug. */
const legal = new Set(["not_found", "conflict", "cancelled", "unavailable", "exhausted", "internal"]);

const diskFull = new Failure("exhausted", "the disk is full");

class Story {
  readonly #scene: Scene;
  readonly #clients: AbortController[] = [];
  readonly #answers: Promise<unknown>[] = [];

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  async tell(event: Event): Promise<void> {
    const { sandboxes, launcher } = this.#scene;
    if (event.kind === "restart") return await this.#scene.restart();
    if (event.kind === "create") return this.#create(event.timeoutMs);
    if (event.kind === "advance") return this.#note(this.#scene.clock.advance(event.ms));
    const launch = launcher.launches[event.who];
    const id = launch?.order.id ?? "i0";
    if (event.kind === "answer") launch?.answer();
    if (event.kind === "fail") launch?.fail();
    if (event.kind === "die") launch?.die("Aborted");
    if (event.kind === "hangUp")
      this.#clients[event.who]?.abort(new Failure("cancelled", "the client hung up"));
    if (event.kind === "brokenKill") launcher.brokenRemovals = 2;
    if (event.kind === "kill" || event.kind === "brokenKill") this.#note(sandboxes.kill(id));
    if (event.kind === "connect") this.#note(sandboxes.connect(id, { timeoutMs: event.ms }, never));
    if (event.kind === "traffic") this.#note(sandboxes.reach(id, () => true, never));
    if (event.kind === "pause") this.#note(sandboxes.pause(id, event.memory));
    if (event.kind === "fork") this.#note(this.#fork(id));
    if (event.kind === "open" || event.kind === "close")
      this.#note(sandboxes.setInternetAccess(id, event.kind === "open", never));
    if (event.kind === "keepFails") this.#scene.snapshots.nextFailure = diskFull;
    if (launch === undefined) return;
    if (event.kind === "stall") launch.captured = () => new Promise(() => {});
    if (event.kind === "captureFails") launch.captured = () => Promise.reject(diskFull);
    if (event.kind === "stuck") launch.stuck = true;
    if (event.kind === "setTimeout") this.#note(sandboxes.setTimeout(id, event.ms));
  }

  /**
   * What runs is listed, has a place and a guest, and no way out that it was not given; what sleeps has a build;
   * what does neither has no channel.
   */
  async check(): Promise<void> {
    const { sandboxes, launcher, store } = this.#scene;
    const listed = await sandboxes.list({ order: "asc", limit: 100 });
    for (const { id, state } of listed.sandboxes) {
      if (state === "paused") {
        assert.match((await store.sandboxes.get(id))?.state ?? "", /^paus(?:ed|ing)$/);
        assert.throws(() => sandboxes.channel(id));
        continue;
      }
      assert.ok(launcher.there.has(id), "what is listed is there");
      assert.equal((await store.sandboxes.get(id))?.state, "running");
      assert.ok(sandboxes.channel(id));
      const { allowInternet } = await sandboxes.get(id);
      assert.ok(allowInternet || launcher.of(id)?.internet !== true, "none has more than its record says");
    }
    const known = new Set((await store.sandboxes.all()).map(({ id }) => id));
    for (const id of launcher.there) assert.ok(known.has(id), "what is there is known to the store");
  }

  /** Kill always works, whatever state something is in; once more for those whose removal was made to fail. */
  async end(): Promise<void> {
    const { sandboxes, launcher, store } = this.#scene;
    for (let turn = 0; turn < 2; turn++) {
      const ids = (await store.sandboxes.all()).map(({ id }) => id);
      await Promise.allSettled(ids.map((id) => sandboxes.kill(id)));
      await sandboxes.close();
      launcher.brokenRemovals = 0;
    }
    const left = (await store.sandboxes.all()).map(({ id }) => id);
    await Promise.all(left.map((id) => sandboxes.kill(id)));
    await Promise.all(this.#answers);
  }

  /** One more like it. */
  async #fork(id: string): Promise<void> {
    await using captured = await this.#scene.sandboxes.capture(id, never);
    await this.#scene.sandboxes.startLike(captured, 5_000, never);
  }

  #create(timeoutMs: number): void {
    const client = new AbortController();
    this.#clients.push(client);
    const request = {
      template: "base",
      timeoutMs,
      metadata: {},
      envs: {},
      secure: true,
      allowInternet: true,
      lifecycle: { onTimeout: timeoutMs % 2 === 0 ? "pause" : "kill", keepMemory: true, autoResume: true },
    } as const;
    this.#note(this.#scene.sandboxes.create(request, client.signal));
  }

  #note(answer: Promise<unknown>): void {
    const noted = answer.catch((error: unknown) =>
      assert.ok(error instanceof Failure && legal.has(error.code), String(error)),
    );
    this.#answers.push(noted);
  }
}

describe("a sandbox's life", () => {
  it("ends with nothing left, whatever the order of answer, kill, pause, fork, expiry and death", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(event, fc.boolean()), { maxLength: 40 }),
        fc.integer({ min: 1, max: 4 }),
        async (events, sandboxesMax) => {
          const scene = await Scene.open({ sandboxesMax, startsMax: 2, waitersMax: 3 });
          const story = new Story(scene);
          for (const [each, quiet] of events) {
            await story.tell(each);
            if (!quiet) continue;
            await settled();
            await story.check();
          }
          await story.end();
          await scene.assertNothingLeft();
          await scene.store.close();
        },
      ),
      { numRuns: 100 },
    );
  });
});
