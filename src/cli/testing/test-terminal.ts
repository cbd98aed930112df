import { Readable } from "node:stream";
import type { Input, Output, Terminal } from "../command.ts";

/** A terminal whose screen can be read. */
export class TestTerminal implements Terminal {
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly stdin: Input;
  readonly stdout = new Screen();
  readonly stderr = new Screen();

  constructor(
    env: NodeJS.ProcessEnv,
    signal: AbortSignal = new AbortController().signal,
    stdin: readonly string[] = [],
  ) {
    this.env = env;
    this.signal = signal;
    this.stdin = Readable.from(stdin.map((piece) => Buffer.from(piece)));
  }

  get printed(): string {
    return this.stdout.text;
  }

  get complained(): string {
    return this.stderr.text;
  }
}

class Screen implements Output {
  readonly #pieces: Buffer[] = [];

  get text(): string {
    return Buffer.concat(this.#pieces).toString();
  }

  write(text: string | Uint8Array, done?: () => void): void {
    this.#pieces.push(Buffer.from(text));
    done?.();
  }
}
