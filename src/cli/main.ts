import { commandLine } from "./command-line.ts";

/**
 * The rim: this process's arguments, streams and signals. The first Ctrl-C or SIGTERM asks the command to end, which
 * it does in order; the second one ends the process as it is.
 */
const stopping = new AbortController();
let asked: number | undefined;
let stoppedBy: NodeJS.Signals | undefined;
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const) {
  process.on(signal, () => {
    if (asked !== undefined) process.exit(code);
    asked = code;
    stoppedBy = signal;
    stopping.abort(new DOMException(`stopped by ${signal}`, "AbortError"));
  });
}
// Whoever reads the output may stop reading it, as `head` does: that is a wish to end, too.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error) => {
    asked ??= 141;
    stopping.abort(error);
  });
}
/** What still holds the process after its work is done gets this long. */
const lingerMsMax = 2000;
const { env, stdin, stdout, stderr } = process;
const terminal = { env, stdin, stdout, stderr, signal: stopping.signal, stoppedBy: () => stoppedBy };
const code = await commandLine(process.argv.slice(2), terminal);
// What ended well although it was asked to stop, such as a daemon, has ended well.
process.exitCode = code === 0 ? 0 : (asked ?? code);
setTimeout(() => process.exit(), lingerMsMax).unref();
