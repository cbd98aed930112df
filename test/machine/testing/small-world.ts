import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const server = path.join(import.meta.dirname, "world-server.ts");

/** Addresses of a world in which a host is connected to an internet and to a network at home. */
export const world = {
  /** As the test reaches the host. */
  host: "10.99.77.2",
  /** On its way to the internet; that of the router is one of a neighbour. */
  hostPublic: "93.184.216.2",
  router: "93.184.216.1",
  hostAtHome: "192.168.77.1",
  neighbourAtHome: "192.168.77.2",
  internet: "151.101.1.10",
  resolver: "151.101.1.53",
  /** On the host itself, as systemd has one. */
  localResolver: "127.0.0.53",
  /** Behind the router too, so that only the rules keep a guest from them. */
  metadata: "169.254.169.254",
  privates: ["10.1.2.3", "172.20.1.2", "192.168.5.5", "100.64.0.9"],
  hostUla: "fd00:77::1",
} as const;

/** Three network namespaces with servers, made for one test and removed after it. Needs root. */
export class SmallWorld implements AsyncDisposable {
  readonly #names: Names;
  readonly #held: AsyncDisposableStack;
  readonly #directory: string;

  private constructor(names: Names, directory: string, held: AsyncDisposableStack) {
    this.#names = names;
    this.#directory = directory;
    this.#held = held;
  }

  static async make(): Promise<SmallWorld> {
    const prefix = `lw${process.pid}`;
    const names = { host: `${prefix}h`, internet: `${prefix}i`, home: `${prefix}l` };
    await using held = new AsyncDisposableStack();
    const directory = await mkdtemp(path.join(tmpdir(), "world-"));
    held.defer(() => rm(directory, { recursive: true }));
    for (const name of Object.values(names)) {
      await run("ip", ["netns", "add", name]);
      held.defer(() => run("ip", ["netns", "delete", name]).then(() => {}));
    }
    await connect(prefix, names);
    await startServer(held, names.internet, ["internet", world.resolver, world.internet]);
    await startServer(held, names.home, ["home"]);
    await startServer(held, names.host, ["host", world.localResolver, world.internet]);
    return new SmallWorld(names, directory, held.move());
  }

  /** What starts a program on the host of this world, before its name. The host asks `resolver` for names. */
  async onHost(resolver: string): Promise<string[]> {
    const resolvers = path.join(this.#directory, `resolv-${resolver}`);
    await writeFile(resolvers, `nameserver ${resolver}\n`);
    const script = 'mount --bind "$0" "$(readlink -f /etc/resolv.conf)" && exec "$@"';
    const enter = ["nsenter", `--net=/run/netns/${this.#names.host}`, "unshare", "--mount"];
    return [...enter, "sh", "-c", script, resolvers, process.execPath];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held.disposeAsync();
  }
}

type Names = Record<"host" | "internet" | "home", string>;

/** One line is one call of ip(8); `%` stands for what makes its names this world's own. */
async function connect(prefix: string, { host, internet, home }: Names): Promise<void> {
  const lines = [
    `link add %t type veth peer name mgmt netns ${host}`,
    "addr add 10.99.77.1/30 dev %t",
    "link set %t up",
    ...inside(host, [
      "link set lo up",
      `link add wan type veth peer name wan netns ${internet}`,
      `link add lan type veth peer name lan netns ${home}`,
      `addr add ${world.host}/30 dev mgmt`,
      `addr add ${world.hostPublic}/24 dev wan`,
      `addr add ${world.hostAtHome}/24 dev lan`,
      `addr add ${world.hostUla}/64 dev lan nodad`,
      ...["mgmt", "wan", "lan"].map((name) => `link set ${name} up`),
    ]),
    ...inside(internet, [
      "link set lo up",
      `addr add ${world.router}/24 dev wan`,
      ...[world.internet, world.resolver, world.metadata, ...world.privates].map(
        (address) => `addr add ${address}/32 dev lo`,
      ),
      "link set wan up",
    ]),
    ...inside(host, [`route add default via ${world.router}`]),
    ...inside(home, [
      "link set lo up",
      `addr add ${world.neighbourAtHome}/24 dev lan`,
      "link set lan up",
      `route add default via ${world.hostAtHome}`,
    ]),
  ];
  for (const line of lines) await run("ip", line.replaceAll("%", prefix).split(" "));
}

function inside(name: string, lines: readonly string[]): string[] {
  return lines.map((line) => `-n ${name} ${line}`);
}

async function startServer(held: AsyncDisposableStack, namespace: string, args: string[]): Promise<void> {
  const all = ["netns", "exec", namespace, process.execPath, server, ...args];
  const child = spawn("ip", all, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  held.defer(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  await once(child.stdout, "data");
}
