import { execFile } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { Failure } from "../base/failure.ts";
import { settings } from "../daemon/configuration.ts";
import { type Command, printLine, type Terminal } from "./command.ts";
import { hostFacts } from "./host-facts.ts";
import { UsageError } from "./usage-error.ts";

const unitName = "larder.service";
const program = path.join(import.meta.dirname, "../../bin/larder.mjs");

export const service: Command = {
  usage: "larder service install [--print] | larder service uninstall",
  help: `install has systemd start the daemon now and whenever the machine starts, with the LARDER_ settings of this
moment. For an ordinary user it becomes one of the user's own services, which live as long as the user is logged in,
or always after 'loginctl enable-linger'. --print shows the unit and changes nothing.
uninstall stops it and takes it away; what it keeps stays.`,
  options: { print: { type: "boolean" } },
  words: { least: 1, most: 1 },
  run: async ({ values, positionals: [what] }, terminal) => {
    const place = placeOf(process.getuid?.() === 0, terminal);
    if (what === "install" && values["print"] === true) terminal.stdout.write(unitFor(terminal.env, place));
    else if (what === "install") await install(place, terminal);
    else if (what === "uninstall") await uninstall(place, terminal);
    else throw new UsageError(`usage: ${service.usage}`);
    return 0;
  },
};

interface Place {
  readonly directory: string;
  /** Arguments that choose the system's or the user's own manager. */
  readonly manager: readonly string[];
  readonly wantedBy: string;
}

function placeOf(isRoot: boolean, { env }: Terminal): Place {
  if (isRoot) return { directory: "/etc/systemd/system", manager: [], wantedBy: "multi-user.target" };
  const config = env["XDG_CONFIG_HOME"] || path.join(hostFacts(env).home, ".config");
  const directory = path.join(config, "systemd/user");
  return { directory, manager: ["--user"], wantedBy: "default.target" };
}

/** The unit, systemd.service(5). The settings are those that are set now: a service has no shell to inherit from. */
export function unitFor(env: NodeJS.ProcessEnv, { wantedBy }: Pick<Place, "wantedBy">): string {
  const ours = Object.values(settings).map(({ variable }) => variable);
  const kept = ["HOME", ...ours].flatMap((name) => (env[name] ? [`${name}=${env[name]}`] : []));
  const command = [process.execPath, program, "serve"].map((word) => quoted(word).replaceAll("$", "$$$$"));
  return `[Unit]
Description=Larder, sandboxes in virtual machines
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
ExecStart=${command.join(" ")}
${kept.map((pair) => `Environment=${quoted(pair)}\n`).join("")}Restart=on-failure
RestartSec=2
KillMode=process
Delegate=yes
TimeoutStopSec=40

[Install]
WantedBy=${wantedBy}
`;
}

/** Quoted as systemd reads it: percent signs stand for themselves when doubled, and so do dollars in a command. */
function quoted(word: string): string {
  return `"${word.replaceAll(/["\\]/g, "\\$&").replaceAll("%", "%%")}"`;
}

async function install(place: Place, terminal: Terminal): Promise<void> {
  const file = path.join(place.directory, unitName);
  await mkdir(place.directory, { recursive: true });
  // It may hold an API key.
  await writeFile(file, unitFor(terminal.env, place), { mode: 0o600 });
  await systemctl(place, ["daemon-reload"]);
  await systemctl(place, ["enable", "--now", unitName]);
  printLine(terminal, `installed ${file}; 'systemctl ${[...place.manager, "status", unitName].join(" ")}'`);
}

async function uninstall(place: Place, terminal: Terminal): Promise<void> {
  const file = path.join(place.directory, unitName);
  await systemctl(place, ["disable", "--now", unitName]);
  await rm(file, { force: true });
  await systemctl(place, ["daemon-reload"]);
  printLine(terminal, `removed ${file}`);
}

async function systemctl({ manager }: Place, args: readonly string[]): Promise<void> {
  const all = [...manager, ...args];
  await promisify(execFile)("systemctl", all).catch((error: unknown) => {
    const said = (error as { stderr?: string }).stderr?.trim().split("\n")[0];
    const reason = said || Failure.from(error).message;
    throw new Failure("unavailable", `systemctl ${all.join(" ")}: ${reason}`, { cause: error });
  });
}
