import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { secretBytes } from "../protocol/preamble.ts";
import { startAgent } from "./agent.ts";
import { openDevicePort } from "./device-port.ts";
import { loadKoffi } from "./foreign.ts";
import { takeHugePage } from "./lane-memory.ts";
import { LinuxIdentity } from "./linux-identity.ts";

/**
 * The program inside the machine. It takes its first secret from the kernel's command line, `larder.secret=` and 32
 * hexadecimal digits; that serves once. One that is started after another has died takes over what that one knew.
 * Beside its own file lies koffi's native module.
 */
function main(): void {
  // The engine forgets what it has compiled when that is not used for long: in a template nearly all of it.
  setFlagsFromString("--no-flush-bytecode");
  process.umask(0o022);
  const koffi = loadKoffi(join(dirname(process.argv[1] ?? "/run/larder/agent.js"), "koffi.node"));
  startAgent({
    port: openDevicePort(koffi),
    inheritance: "/run/larder-agent",
    secret: bootSecret(readFileSync("/proc/cmdline", "utf8")),
    identity: new LinuxIdentity(koffi),
    koffi,
    defaultUser: "user",
    path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    inTerminal: ["/run/larder/busybox", "setsid", "-c"],
    spared: true,
    takeLanePage: () => takeHugePage(koffi),
  });
}

function bootSecret(commandLine: string): Buffer {
  const digits = /(?:^|\s)larder\.secret=([0-9a-f]+)(?:\s|$)/.exec(commandLine)?.[1] ?? "";
  const secret = Buffer.from(digits, "hex");
  if (secret.length !== secretBytes) throw new Error("the kernel's command line holds no larder.secret");
  return secret;
}

main();
