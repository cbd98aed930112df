import type { Readable } from "node:stream";
import type { ParseArgsOptionsConfig } from "node:util";

/** Where a command reads and writes; the tests give it other ends than the terminal's. */
export interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Aborts when the user wants out (Ctrl-C, SIGTERM). */
  readonly signal: AbortSignal;
  /** Which of those it was, once it was. */
  readonly stoppedBy?: () => NodeJS.Signals | undefined;
}

export type Input = Readable & {
  readonly isTTY?: boolean;
  /** Of a terminal: each key is handed on as it is pressed, and means nothing here. */
  setRawMode?(raw: boolean): unknown;
};

export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  /** Of a terminal, when its size has changed. */
  on?(event: "resize", listener: () => void): unknown;
  off?(event: "resize", listener: () => void): unknown;
  /** Calls `done` when the text is out of this process's hands. */
  write(text: string | Uint8Array, done?: () => void): unknown;
}

/** Writes and waits until it is out: what arrives faster than it can be shown is not gathered here. */
export function writeOut(output: Output, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => output.write(bytes, () => resolve()));
}

/** What was given on the command line, already checked against `options`. */
export interface Arguments {
  readonly values: Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;
  readonly positionals: readonly string[];
}

export interface Command {
  /** The line that shows how it is called, and what follows it under `--help`. */
  readonly usage: string;
  readonly help: string;
  readonly options: ParseArgsOptionsConfig;
  /** How many words it takes besides options. */
  readonly words: { readonly least: number; readonly most: number };
  /** Returns the exit code. A Failure becomes one sentence and 1. */
  run(args: Arguments, terminal: Terminal): Promise<number>;
}

/** Every command that prints data can print it for programs. */
export const jsonOption = { json: { type: "boolean" } } as const;

export function printJson(terminal: Terminal, value: unknown): void {
  terminal.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}

export function printLine(terminal: Terminal, line = ""): void {
  terminal.stdout.write(`${line}\n`);
}
