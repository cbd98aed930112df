/** How a process ended, in the words that clients compare. */
export interface Ended {
  /** -1 when a signal ended it. */
  readonly exitCode: number;
  readonly exited: boolean;
  readonly status: string;
  readonly error?: string;
}

/** Neither is told of a process that was left by another agent. */
export function endedBy(code: number | null, signal: NodeJS.Signals | null): Ended {
  if (code !== null) {
    const status = `exit status ${code}`;
    return { exitCode: code, exited: true, status, ...(code === 0 ? {} : { error: status }) };
  }
  if (signal === null) {
    const error = "how it ended is not known: the agent was started again while it ran";
    return { exitCode: -1, exited: false, status: "unknown", error };
  }
  const status = `signal: ${signalWords.get(signal) ?? signal.toLowerCase()}`;
  return { exitCode: -1, exited: false, status, error: status };
}

const signalWords = new Map<NodeJS.Signals, string>([
  ["SIGHUP", "hangup"],
  ["SIGINT", "interrupt"],
  ["SIGQUIT", "quit"],
  ["SIGILL", "illegal instruction"],
  ["SIGTRAP", "trace/breakpoint trap"],
  ["SIGABRT", "aborted"],
  ["SIGBUS", "bus error"],
  ["SIGFPE", "floating point exception"],
  ["SIGKILL", "killed"],
  ["SIGUSR1", "user defined signal 1"],
  ["SIGSEGV", "segmentation fault"],
  ["SIGUSR2", "user defined signal 2"],
  ["SIGPIPE", "broken pipe"],
  ["SIGALRM", "alarm clock"],
  ["SIGTERM", "terminated"],
]);
