import { Failure } from "../../base/failure.ts";

/** A source pauses while each of its subscribers has this much unread, and goes on when one is below half of it. */
const unreadBytesMax = 256 * 1024;
/** How far one may fall behind the others. What waits is kept once, however many wait for it. */
const behindBytesMax = 4 * 1024 * 1024;

interface Sized {
  readonly bytes?: Uint8Array | undefined;
}

/**
 * Gives every event to every subscriber and keeps what the slower ones have not read yet. `flow` is called with
 * false when the source must pause, and with true when it may go on: the fastest subscriber sets the pace. One that
 * falls too far behind it is cut off and told so: it holds up neither the source nor the others, and nothing grows.
 */
export class Broadcast<Event extends Sized> {
  readonly #subscriptions = new Set<Subscription<Event>>();
  readonly #flow: (on: boolean) => void;
  #flowing = true;

  constructor(flow: (on: boolean) => void) {
    this.#flow = flow;
  }

  publish(event: Event): void {
    for (const subscription of [...this.#subscriptions]) {
      subscription.push(event);
      if (subscription.unreadBytes <= behindBytesMax) continue;
      this.#subscriptions.delete(subscription);
      subscription.cutOff();
    }
    this.#adjust();
  }

  /** The subscriber sees what is published from now on; it must be disposed of. */
  subscribe(): Subscription<Event> {
    const subscription: Subscription<Event> = new Subscription((gone) => {
      if (gone) this.#subscriptions.delete(subscription);
      this.#adjust();
    });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  #adjust(): void {
    const all = [...this.#subscriptions].map(({ unreadBytes }) => unreadBytes);
    const unread = all.length === 0 ? 0 : Math.min(...all);
    const flowing = this.#flowing ? unread < unreadBytesMax : unread < unreadBytesMax / 2;
    if (flowing === this.#flowing) return;
    this.#flowing = flowing;
    this.#flow(flowing);
  }
}

/** One subscriber's place in the stream of events. */
export class Subscription<Event extends Sized> implements Disposable {
  readonly #changed: (gone: boolean) => void;
  #queue: Event[] = [];
  #wake: (() => void) | undefined;
  #isCutOff = false;
  unreadBytes = 0;

  constructor(changed: (gone: boolean) => void) {
    this.#changed = changed;
  }

  push(event: Event): void {
    this.#queue.push(event);
    this.unreadBytes += event.bytes?.length ?? 0;
    this.#wake?.();
  }

  /** It gets no more events, and not those that it has not read. */
  cutOff(): void {
    this.#isCutOff = true;
    this.#queue = [];
    this.#wake?.();
  }

  /** Ends a wait for the next event without one. */
  interrupt(): void {
    this.#wake?.();
  }

  /**
   * The next event, or undefined when the wait for it was interrupted. Throws `exhausted` when it was cut off. One
   * caller at a time.
   */
  async next(): Promise<Event | undefined> {
    if (this.#queue.length === 0 && !this.#isCutOff) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    if (this.#isCutOff) {
      throw new Failure(
        "exhausted",
        `more than ${behindBytesMax} bytes of output were not read, while others read them: connect again to go on`,
      );
    }
    const event = this.#queue.shift();
    if (event?.bytes !== undefined) {
      this.unreadBytes -= event.bytes.length;
      this.#changed(false);
    }
    return event;
  }

  [Symbol.dispose](): void {
    this.#queue = [];
    this.unreadBytes = 0;
    this.#changed(true);
  }
}
