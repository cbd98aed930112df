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
  | { readonly kind: "connect" | "setTimeout"; readonly who: number; readonly ms: number };

const who = fc.nat({ max: 7 });
const ms = fc.integer({ min: 1, max: 30_000 });
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constant("create"), timeoutMs: ms }),
  fc.record({ kind: fc.constant("advance"), ms }),
  fc.record({ kind: fc.constantFrom("answer", "fail", "die", "hangUp", "kill", "brokenKill"), who }),
  fc.record({ kind: fc.constantFrom("connect", "setTimeout"), who, ms }),
);

/** Outcomes that a client may see, whatever races with what. Anything else is a bug. */
const legal = new Set(["not_found", "conflict", "cancelled", "unavailable", "exhausted", "internal"]);

class Story {
  readonly #scene: Scene;
  readonly #clients: AbortController[] = [];
  readonly #answers: Promise<unknown>[] = [];

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  tell(event: Event): void {
    const { sandboxes, launcher } = this.#scene;
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
    if (event.kind === "setTimeout") this.#note(sandboxes.setTimeout(id, event.ms));
  }

  /** What runs is listed, has a place and a guest; what does not has no channel. */
  async check(): Promise<void> {
    const { sandboxes, launcher, store } = this.#scene;
    const listed = await sandboxes.list({ order: "asc", limit: 100 });
    for (const { id } of listed.sandboxes) {
      assert.ok(launcher.there.has(id), "what is listed is there");
      assert.equal((await store.sandboxes.get(id))?.state, "running");
      assert.ok(sandboxes.channel(id));
    }
    const known = new Set((await store.sandboxes.all()).map(({ id }) => id));
    for (const id of launcher.there) assert.ok(known.has(id), "what is there is known to the store");
  }

  async end(): Promise<void> {
    await this.#scene.sandboxes.close();
    this.#scene.launcher.brokenRemovals = 0;
    // Once more for those whose removal was made to fail.
    await this.#scene.sandboxes.close();
    await Promise.all(this.#answers);
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
    };
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
  it("ends with nothing left, whatever the order of answer, kill, expiry, connect, hang-up and death", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(event, fc.boolean()), { maxLength: 40 }),
        fc.integer({ min: 1, max: 4 }),
        async (events, sandboxesMax) => {
          const scene = await Scene.open({ sandboxesMax, startsMax: 2, waitersMax: 3 });
          const story = new Story(scene);
          for (const [each, pause] of events) {
            story.tell(each);
            if (!pause) continue;
            await settled();
            await story.check();
          }
          await story.end();
          await scene.assertNothingLeft();
          await scene.store.close();
        },
      ),
      { numRuns: 80 },
    );
  });
});
