import type { Logger } from "../../base/logger.ts";
import { Failure } from "../../base/failure.ts";
import type { FromWorker, LogLevel } from "./messages.ts";

/** Lets the main thread write the log. Errors travel as plain facts: a clone of them would lose their code. */
export function workerLogger(post: (message: FromWorker) => void): Logger {
  const say = (level: LogLevel) => (facts: object, event: string) =>
    post({ type: "log", level, facts: plain(facts), event });
  return { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
}

function plain(facts: object): object {
  return Object.fromEntries(
    Object.entries(facts).map(([name, fact]) => [name, fact instanceof Error ? plainError(fact) : fact]),
  );
}

function plainError(error: Error): object {
  const { code } = Failure.from(error);
  const internal = code === "internal" ? { stack: error.stack } : {};
  return { code, message: error.message, ...internal };
}
