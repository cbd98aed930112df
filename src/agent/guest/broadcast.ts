/** A source slows down while its slowest subscriber has this much unread, and goes on below half of it. */
const unreadBytesMax = 256 * 1024;

interface Sized {
  readonly bytes?: Uint8Array | undefined;
}

/**
 * Gives every event to every subscriber and keeps what the slower ones have not read yet. `flow` is called with
 * false when the source must pause, and with true when it may go on: nothing is dropped, and nothing grows.
 */
export class Broadcast<Event extends Sized> {
  readonly #subscriptions = new Set<Subscription<Event>>();
  readonly #flow: (on: boolean) => void;
  #flowing = true;

  constructor(flow: (on: boolean) => void) {
    this.#flow = flow;
  }

  publish(event: Event): void {
    for (const subscription of this.#subscriptions) subscription.push(event);
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
    let unread = 0;
    for (const subscription of this.#subscriptions) unread = Math.max(unread, subscription.unreadBytes);
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
  unreadBytes = 0;

  constructor(changed: (gone: boolean) => void) {
    this.#changed = changed;
  }

  push(event: Event): void {
    this.#queue.push(event);
    this.unreadBytes += event.bytes?.length ?? 0;
    this.#wake?.();
  }

  /** Ends a wait for the next event without one. */
  interrupt(): void {
    this.#wake?.();
  }

  /** The next event, or undefined when the wait for it was interrupted. One caller at a time. */
  async next(): Promise<Event | undefined> {
    if (this.#queue.length === 0) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
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
