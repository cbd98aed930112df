import { Failure } from "../base/failure.ts";
import { type Command, jsonOption, printJson, printLine } from "./command.ts";
import { type ApiPlace, connectToApi } from "./find-api.ts";
import { guestAccess } from "./guest-access.ts";
import { UsageError } from "./usage-error.ts";

export const url: Command = {
  usage: "larder url ID PORT [--json]",
  help: `Prints the address at which a port of a sandbox can be reached: with curl and browsers on this machine by
PORT-ID.localhost, from elsewhere by PORT-ID.LARDER_DOMAIN.`,
  options: jsonOption,
  words: { least: 2, most: 2 },
  run: async ({ values, positionals: [id = "", port = ""] }, terminal) => {
    if (!/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65_535)
      throw new UsageError(`'${port}' is no port: 1 to 65535`);
    const api = await connectToApi(terminal.env);
    const { sandboxId } = await guestAccess(api, id, undefined, terminal.signal);
    const address = addressOf(api.place, `${port}-${sandboxId}`, terminal.env["LARDER_DOMAIN"]);
    if (values["json"] === true) printJson(terminal, { url: address });
    else printLine(terminal, address);
    return 0;
  },
};

/** As the daemon says; a remote one is taken to serve the port that its API has. */
export function addressOf(
  { url, clients }: Pick<ApiPlace, "url" | "clients">,
  label: string,
  domain: string | undefined,
): string {
  const pattern = clients?.sandboxes ?? url;
  const parsed = URL.parse(pattern.replace("*", label));
  if (parsed === null) throw new Failure("internal", `'${pattern}' is no URL`);
  if (clients === undefined) parsed.hostname = `${label}.${domain || "localhost"}`;
  return parsed.href;
}
