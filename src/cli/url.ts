import { Failure } from "../base/failure.ts";
import { type Command, jsonOption, printJson, printLine } from "./command.ts";
import { connectToApi } from "./find-api.ts";
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
    const address = addressOf(api.place.url, sandboxId, port, terminal.env["LARDER_DOMAIN"]);
    if (values["json"] === true) printJson(terminal, { url: address });
    else printLine(terminal, address);
    return 0;
  },
};

/** The daemon's own address, with the sandbox's name for its host. */
export function addressOf(daemon: string, id: string, port: string, domain: string | undefined): string {
  const parsed = URL.parse(daemon);
  if (parsed === null) throw new Failure("internal", `'${daemon}' is no URL`);
  parsed.hostname = `${port}-${id}.${domain || "localhost"}`;
  return parsed.href;
}
