import { Failure, type FailureCode } from "../failure.ts";

/** What becomes of one call: let through, refused, held until told otherwise, or its bytes changed. */
export type Fault =
  | { readonly kind: "fail"; readonly code: FailureCode }
  | { readonly kind: "stall"; readonly until: Promise<void> }
  | { readonly kind: "change"; readonly bytes: (bytes: Uint8Array) => Uint8Array };

/** Asked before each call; `undefined` lets it through. `call` counts from 1 over all methods. */
export type FaultPlan = (method: string, args: readonly unknown[], call: number) => Fault | undefined;

type Method = (...args: unknown[]) => unknown;

/**
 * The one fault decorator: wraps any interface whose methods return promises or async iterables.
 * `change` applies to the pieces or chunks of an async iterable.
 */
export function faulty<T extends object>(target: T, plan: FaultPlan): T {
  let calls = 0;
  return new Proxy(target, {
    get(_, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== "function" || typeof property === "symbol") return bound(value, target);
      return (...args: unknown[]) => {
        const fault = plan(property, args, ++calls);
        const method = value.bind(target) as Method;
        return fault === undefined ? method(...args) : suffer(fault, () => method(...args), signalOf(args));
      };
    },
  });
}

function bound(value: unknown, target: object): unknown {
  return typeof value === "function" ? (value.bind(target) as Method) : value;
}

function suffer(fault: Fault, call: () => unknown, signal: AbortSignal | undefined): unknown {
  if (fault.kind === "change") return changed(call() as AsyncIterable<unknown>, fault.bytes);
  const before = async () => {
    if (fault.kind === "fail") throw new Failure(fault.code, "a planned fault");
    await Promise.race([fault.until, aborted(signal)]);
  };
  // Serves both kinds of result: it can be awaited, and it can be iterated.
  return {
    // oxlint-disable-next-line unicorn/no-thenable -- the caller awaits it as it would the real result
    then: (...handlers: [never, never]) =>
      before()
        .then(call)
        .then(...handlers),
    catch: (handler: never) => before().then(call).catch(handler),
    async *[Symbol.asyncIterator]() {
      await before();
      yield* call() as AsyncIterable<unknown>;
    },
  };
}

async function* changed(pieces: AsyncIterable<unknown>, change: (bytes: Uint8Array) => Uint8Array) {
  for await (const piece of pieces) {
    if (piece instanceof Uint8Array) yield change(piece);
    else yield { ...(piece as object), bytes: change((piece as { bytes: Uint8Array }).bytes) };
  }
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal?.aborted === true) reject(signal.reason as Error);
    signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}

function signalOf(args: readonly unknown[]): AbortSignal | undefined {
  const last = args.at(-1);
  return last instanceof AbortSignal ? last : undefined;
}
