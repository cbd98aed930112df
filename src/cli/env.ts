import { type Command, jsonOption, printJson } from "./command.ts";
import { type ApiPlace, findApi } from "./find-api.ts";

export const env: Command = {
  usage: "larder env [--json]",
  help: `Prints what the e2b package must be told, as lines to paste; eval "$(larder env)" sets it at once.`,
  options: jsonOption,
  words: { least: 0, most: 0 },
  run: async ({ values }, terminal) => {
    const variables = variablesFor(await findApi(terminal.env));
    if (values["json"] === true) printJson(terminal, variables);
    else terminal.stdout.write(exportLines(variables));
    return 0;
  },
};

/** Unless the daemon knows better, clients find sandboxes by header: no name needs to be resolved. */
export function variablesFor({ url, apiKey, clients }: ApiPlace): Record<string, string> {
  const variables = clients?.variables ?? { E2B_API_URL: url, E2B_SANDBOX_URL: url };
  return { ...variables, E2B_API_KEY: apiKey };
}

export function exportLines(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}=${value}\n`)
    .join("");
}
