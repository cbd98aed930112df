import type { Output, Terminal } from "../command.ts";

/** A terminal whose screen can be read. */
export class TestTerminal implements Terminal {
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly stdout = new Screen();
  readonly stderr = new Screen();

  constructor(env: NodeJS.ProcessEnv, signal: AbortSignal = new AbortController().signal) {
    this.env = env;
    this.signal = signal;
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
