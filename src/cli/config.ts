import { describeConfiguration, unknownVariables } from "../daemon/configuration.ts";
import { type Command, jsonOption, printJson } from "./command.ts";
import { hostFacts } from "./host-facts.ts";
import { table } from "./table.ts";

export const config: Command = {
  usage: "larder config [--json]",
  help: `Prints the settings in force, where each came from, and what it means.
All of them are environment variables.`,
  options: jsonOption,
  words: { least: 0, most: 0 },
  run: async ({ values }, terminal) => {
    const all = describeConfiguration(terminal.env, hostFacts(terminal.env));
    const rows = all.map(({ variable, value, from, means }) => [variable, value ?? "-", from, means]);
    if (values["json"] === true) printJson(terminal, all);
    else terminal.stdout.write(table(["VARIABLE", "VALUE", "FROM", "MEANS"], rows));
    for (const name of unknownVariables(terminal.env)) {
      terminal.stderr.write(`larder config: ${name} is set, but there is no such setting\n`);
    }
    return 0;
  },
};
