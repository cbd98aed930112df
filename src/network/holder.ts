import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { abortable } from "../base/abortable.ts";
import { closeOnExec } from "../base/close-on-exec.ts";
import { Failure } from "../base/failure.ts";
import { asUser, toolEnvironment } from "./as-user.ts";
import { interfaceCommands } from "./network-rules.ts";

/** What a holder prints when its namespaces are there, and when the rules are in force. */
type Word = "made" | "ready";

export interface HolderOptions {
  /** An argument to be found by. */
  readonly marker: string;
  /** The user that it runs as, where the daemon is root. */
  readonly uid: number | undefined;
  /** In the language of nft(8). */
  readonly rules: string;
}

/** Makes the interface and the rules, and stays until nobody holds the other end of its input. */
const script = `echo made
printf %s "$2" | ip -batch - && nft "$3" && echo 1 > /proc/sys/net/ipv4/ip_forward && echo ready && read -r _`;

/** How much is kept of what its programs complain about. */
const wordsCharactersMax = 2000;

/**
 * The process that a network's namespaces are made for. They are there as long as it is, or anybody else who has
 * entered them. It ends with this program.
 */
export class Holder {
  readonly pid: number;
  /** Resolves when it is no more. */
  readonly ended: Promise<void>;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #said: Readonly<Record<Word, PromiseWithResolvers<void>>>;
  #words = "";

  constructor({ marker, uid, rules }: HolderOptions) {
    const [program, args] = asUser(uid, [
      ...["unshare", "--user", "--map-root-user", "--net", "--"],
      ...["sh", "-c", script, "sh", marker, interfaceCommands, rules],
    ]);
    closeOnExec();
    const child = spawn(program, args, { detached: true, cwd: "/", env: toolEnvironment, stdio: "pipe" });
    this.pid = child.pid ?? 0;
    this.#child = child;
    this.#said = { made: Promise.withResolvers(), ready: Promise.withResolvers() };
    for (const { promise } of Object.values(this.#said)) promise.catch(() => {}); // told to whoever asks
    createInterface(child.stdout).on("line", (line) => {
      if (line === "made" || line === "ready") this.#said[line].resolve();
    });
    child.stderr.on("data", (piece: Buffer) => {
      this.#words = (this.#words + String(piece)).slice(-wordsCharactersMax);
    });
    child.stdin.on("error", () => {}); // it has ended before its input did
    this.ended = new Promise((resolve) => {
      const settle = (trouble: string) => {
        const why = new Failure("unavailable", `a network could not be made: ${trouble}`);
        for (const { reject } of Object.values(this.#said)) reject(why);
        resolve();
      };
      child.once("error", ({ message }) => settle(message));
      child.once("close", () => settle(this.#words.trim() || "its holder ended without a word"));
    });
  }

  /** Throws `unavailable` with its words when it ends before it has said that. */
  says(word: Word, signal: AbortSignal): Promise<void> {
    return abortable(this.#said[word].promise, signal);
  }

  /** Lets it end by itself. */
  release(): void {
    this.#child.stdin.end();
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }
}
