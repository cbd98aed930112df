import { type Command, jsonOption, printJson, printLine } from "./command.ts";
import { eachSandbox } from "./each-sandbox.ts";
import { connectToApi } from "./find-api.ts";
import { listSandboxes } from "./ls.ts";
import { UsageError } from "./usage-error.ts";

export const kill: Command = {
  usage: "larder kill ID... | --all [--json]",
  help: "Ends sandboxes. The exit code is 1 when one of them was not there.",
  options: { ...jsonOption, all: { type: "boolean" } },
  words: { least: 0, most: Number.POSITIVE_INFINITY },
  run: async ({ values, positionals }, terminal) => {
    const { signal } = terminal;
    const every = values["all"] === true;
    if (every === positionals.length > 0) throw new UsageError(`usage: ${kill.usage}`);
    const api = await connectToApi(terminal.env);
    const ids = every ? (await listSandboxes(api, signal)).map(({ sandboxID }) => sandboxID) : positionals;
    const { done: killed, refused } = await eachSandbox(ids, (path) =>
      api.page({ method: "DELETE", path }, signal),
    );
    const missing = Object.keys(refused);
    if (values["json"] === true) printJson(terminal, { killed, missing });
    else for (const id of killed) printLine(terminal, id);
    if (missing.length > 0) terminal.stderr.write(`larder kill: there is no sandbox ${missing.join(", ")}\n`);
    return missing.length > 0 && !every ? 1 : 0;
  },
};
