import { type Clock, sleepBy } from "../../src/base/clock.ts";
import { TimerQueue } from "./timer-queue.ts";

/** Time that passes only when nothing else is left to do. A world waits for promises and for this alone. */
export class SimulatedTime {
  readonly #timers = new TimerQueue();
  #now = Date.UTC(2026, 0, 1);
  #orders = 0;

  get now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): Disposable {
    const timer = { at: this.#now + Math.max(0, ms), order: this.#orders++, callback, isOver: false };
    this.#timers.push(timer);
    return { [Symbol.dispose]: () => void (timer.isOver = true) };
  }

  /** Lets time pass until `promise` has settled. Throws when it never does within `msMax`. */
  async run<T>(promise: Promise<T>, msMax: number, what: string): Promise<T> {
    let isSettled = false;
    const settle = () => void (isSettled = true);
    promise.then(settle, settle);
    const end = this.#now + msMax;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (isSettled) return await promise;
      const next = this.#timers.peek();
      if (next === undefined || next.at > end) throw new Error(`${what} never ends`);
      this.#timers.pop();
      this.#now = Math.max(this.#now, next.at);
      next.callback();
    }
  }
}

/** The clock of one process: when that dies, none of its timers fires any more. */
export class ProcessClock implements Clock {
  readonly #time: SimulatedTime;
  readonly #timers = new Set<Disposable>();
  #isDead = false;

  constructor(time: SimulatedTime) {
    this.#time = time;
  }

  /** Timers that it has not disposed of. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Of whole milliseconds, as the system's. */
  now(): number {
    return Math.floor(this.#time.now);
  }

  monotonic(): number {
    return this.#time.now;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return sleepBy(this, ms, signal);
  }

  /** The same for whom nobody calls off; whoever waits so for a process that is dead is forgotten with it. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }

  after(ms: number, callback: () => void): Disposable {
    if (this.#isDead) return { [Symbol.dispose]: () => {} };
    const timer = this.#time.after(ms, () => {
      this.#timers.delete(timer);
      callback();
    });
    this.#timers.add(timer);
    return {
      [Symbol.dispose]: () => {
        this.#timers.delete(timer);
        timer[Symbol.dispose]();
      },
    };
  }

  die(): void {
    this.#isDead = true;
    for (const timer of this.#timers) timer[Symbol.dispose]();
    this.#timers.clear();
  }
}
