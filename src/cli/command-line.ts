import { parseArgs } from "node:util";
import { Failure } from "../base/failure.ts";
import type { Arguments, Command, Terminal } from "./command.ts";
import { UsageError } from "./usage-error.ts";

interface Entry {
  readonly summary: string;
  /** Each command is loaded only when it is called: imports are most of what a short command costs. */
  readonly load: () => Promise<Command>;
}

const commands: Readonly<Record<string, Entry>> = {
  up: { summary: "make what is missing, then serve", load: async () => (await import("./up.ts")).up },
  serve: { summary: "serve; needs a template", load: async () => (await import("./serve.ts")).serve },
  stop: { summary: "stop the daemon and its sandboxes", load: async () => (await import("./stop.ts")).stop },
  env: { summary: "print the lines to paste", load: async () => (await import("./env.ts")).env },
  run: { summary: "run one command in a fresh sandbox", load: async () => (await import("./run.ts")).run },
  shell: { summary: "open a terminal in a sandbox", load: async () => (await import("./shell.ts")).shell },
  ls: { summary: "list sandboxes", load: async () => (await import("./ls.ts")).ls },
  cp: { summary: "copy files into a sandbox or out of it", load: async () => (await import("./cp.ts")).cp },
  kill: { summary: "end sandboxes", load: async () => (await import("./kill.ts")).kill },
  pause: {
    summary: "put sandboxes to sleep",
    load: async () => (await import("./sleep-commands.ts")).pause,
  },
  resume: {
    summary: "wake sandboxes that sleep",
    load: async () => (await import("./sleep-commands.ts")).resume,
  },
  snapshot: {
    summary: "keep the state of a sandbox",
    load: async () => (await import("./snapshot.ts")).snapshot,
  },
  fork: { summary: "start more from where one is", load: async () => (await import("./fork.ts")).fork },
  logs: { summary: "print what is noted of a sandbox", load: async () => (await import("./logs.ts")).logs },
  metrics: {
    summary: "print what sandboxes use",
    load: async () => (await import("./metrics.ts")).metrics,
  },
  template: {
    summary: "list, build, import or clean up templates",
    load: async () => (await import("./template.ts")).template,
  },
  cache: {
    summary: "look after the builds on this node",
    load: async () => (await import("./cache.ts")).cache,
  },
  doctor: {
    summary: "say what is missing, or left behind",
    load: async () => (await import("./doctor.ts")).doctor,
  },
  config: { summary: "print the settings in force", load: async () => (await import("./config.ts")).config },
  url: { summary: "print where a port of a sandbox is", load: async () => (await import("./url.ts")).url },
  service: {
    summary: "have the system start the daemon",
    load: async () => (await import("./service.ts")).service,
  },
  purge: { summary: "remove all that is kept here", load: async () => (await import("./purge.ts")).purge },
  completion: {
    summary: "make a shell complete commands",
    load: async () => (await import("./completion.ts")).completionOf(Object.keys(commands)),
  },
  demo: { summary: "play a first program, with times", load: async () => (await import("./demo.ts")).demo },
};

/** Runs one command line and returns its exit code: 0, 1 for a failure, 2 for a wrong command line. */
export async function commandLine(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    terminal.stdout.write(overview());
    return name === undefined ? 2 : 0;
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) {
    terminal.stderr.write(`larder: there is no command '${name}'; 'larder help' lists all\n`);
    return 2;
  }
  try {
    return await call(await entry.load(), rest, terminal);
  } catch (error) {
    const said = terminal.signal.aborted ? "stopped before it was done" : sentence(error);
    terminal.stderr.write(`larder ${name}: ${said}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function call(command: Command, argv: readonly string[], terminal: Terminal): Promise<number> {
  const { values, positionals } = parse(command, argv);
  if (values["help"] === true) {
    terminal.stdout.write(`usage: ${command.usage}\n\n${command.help}\n`);
    return 0;
  }
  const { least, most } = command.words;
  if (positionals.length < least || positionals.length > most)
    throw new UsageError(`usage: ${command.usage}`);
  return await command.run({ values, positionals }, terminal);
}

function parse(command: Command, argv: readonly string[]): Arguments {
  const options = { ...command.options, help: { type: "boolean", short: "h" } } as const;
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (error) {
    const [first] = Failure.from(error).message.split(". ");
    throw new UsageError(`${first}; usage: ${command.usage}`, { cause: error });
  }
}

/** A Failure is a sentence already. Everything else is a bug, of which the place matters too. */
function sentence(error: unknown): string {
  if (error instanceof UsageError || error instanceof Failure) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function overview(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return `usage: larder COMMAND [...]\n\n${lines.join("\n")}\n\n'larder COMMAND --help' says more.\n`;
}
