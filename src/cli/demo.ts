import { Failure } from "../base/failure.ts";
import { type Command, jsonOption, printJson, printLine, type Terminal } from "./command.ts";
import { type ApiPlace, findApi } from "./find-api.ts";

type Client = Pick<typeof import("e2b"), "Sandbox">;

interface Step {
  readonly step: string;
  readonly ms: number;
  readonly result: string;
}

export const demo: Command = {
  usage: "larder demo [--json]",
  help: "Plays the README's first program with the published e2b package, and says what each step took.",
  options: jsonOption,
  words: { least: 0, most: 0 },
  run: async ({ values }, terminal) => {
    const steps: Step[] = [];
    const onStep = (step: Step) => {
      steps.push(step);
      if (values["json"] !== true)
        printLine(terminal, `${String(step.ms).padStart(7)} ms  ${step.step}: ${step.result}`);
    };
    await play(await loadClient(), await findApi(terminal.env), onStep, terminal);
    if (values["json"] === true) printJson(terminal, steps);
    return 0;
  },
};

async function play(
  { Sandbox }: Client,
  place: ApiPlace,
  onStep: (step: Step) => void,
  { signal }: Terminal,
) {
  const timed = async <T>(step: string, work: Promise<T>, show: (value: T) => string): Promise<T> => {
    const began = performance.now();
    const value = await work.catch((error: unknown) => {
      throw Failure.from(error, `${step}: ${error instanceof Error ? error.message : String(error)}`);
    });
    onStep({ step, ms: Math.round(performance.now() - began), result: show(value) });
    signal.throwIfAborted();
    return value;
  };
  const options = { apiUrl: place.url, sandboxUrl: place.url, apiKey: place.apiKey };
  const settings = { metadata: { owner: "me" }, envs: { GREETING: "hello" }, timeoutMs: 120_000 };
  const creating = Sandbox.create({ ...options, ...settings });
  const sandbox = await timed("create", creating, ({ sandboxId }) => sandboxId);
  try {
    const command = 'echo $GREETING from $(uname -n); id -un; python3 -c "print(6*7)"';
    await timed("commands.run", sandbox.commands.run(command), ({ stdout }) =>
      stdout.trim().replaceAll("\n", ", "),
    );
    const file = "/home/user/notes/a.txt";
    await timed("files.write", sandbox.files.write(file, "kept"), ({ path }) => path);
    await timed("files.read", sandbox.files.read(file), String);
    await timed("files.list", sandbox.files.list("/home/user"), (all) =>
      all.map(({ name }) => name).join(" "),
    );
  } finally {
    await timed("kill", sandbox.kill(), String);
  }
}

async function loadClient(): Promise<Client> {
  try {
    return await import("e2b");
  } catch (error) {
    throw new Failure("not_found", "the e2b package is not installed; 'npm install' brings it", {
      cause: error,
    });
  }
}
