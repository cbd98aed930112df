import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { AgentFixture } from "../../src/agent/testing/agent-fixture.ts";
import type { GuestChannel } from "../../src/api/ports.ts";
import { TestApi, testKey } from "../../src/api/testing/test-api.ts";
import { testCertificate } from "../../src/api/testing/test-certificate.ts";
import { serve } from "../machine/testing/served.ts";

/** What clients are pointed at: the same daemon, plain and under the names of its certificate. */
export interface Target extends AsyncDisposable {
  readonly ways: Readonly<Record<"plain" | "TLS", NodeJS.ProcessEnv>>;
}

/** Where scenarios leave their files. */
const guestDirectory = "/tmp/larder-compat";

/** An API over an agent that is a process of this host: as fast as the protocol can be. */
export async function localTarget(): Promise<Target> {
  await using held = new AsyncDisposableStack();
  const directory = await certificateDirectory(held);
  const port = await freePort();
  const domain = `sbx.test:${port}`;
  const certificate = { current: testCertificate, onRenewal: () => ({ [Symbol.dispose]: () => {} }) };
  const agent = held.use(await AgentFixture.start());
  const api = held.use(await TestApi.start({ certificate, domain, port }));
  api.sandboxes.guest = asWhoeverRunsThis(agent.channel);
  held.defer(() => rm(guestDirectory, { recursive: true, force: true }));
  const ends = held.move();
  return { ways: waysTo(port, testKey, directory), [Symbol.asyncDispose]: () => ends.disposeAsync() };
}

/** A real daemon, with virtual machines, on the data directory that LARDER_TEST_DATA names. */
export async function realTarget(): Promise<Target> {
  await using held = new AsyncDisposableStack();
  const directory = await certificateDirectory(held);
  const port = await freePort();
  const daemon = held.use(
    await serve({
      LARDER_PORT: String(port),
      LARDER_DOMAIN: `sbx.test:${port}`,
      LARDER_TLS_CERT: path.join(directory, "cert.pem"),
      LARDER_TLS_KEY: path.join(directory, "key.pem"),
    }),
  );
  const ends = held.move();
  return { ways: waysTo(port, daemon.apiKey, directory), [Symbol.asyncDispose]: () => ends.disposeAsync() };
}

/** Older packages ask for the user of templates by name; on this host nobody is called so. */
function asWhoeverRunsThis(channel: GuestChannel): GuestChannel {
  return {
    request: ({ headers, path, ...request }, signal) => {
      const { authorization, ...others } = headers;
      const named = authorization === `Basic ${Buffer.from("user:").toString("base64")}`;
      return channel.request(
        {
          ...request,
          headers: named ? others : headers,
          path: path.replace(/([?&])username=user(&|$)/, "$1$2"),
        },
        signal,
      );
    },
    connectPort: (port, signal) => channel.connectPort(port, signal),
  };
}

function waysTo(port: number, apiKey: string, directory: string): Target["ways"] {
  const url = `http://127.0.0.1:${port}`;
  const common = { PATH: process.env["PATH"], E2B_API_KEY: apiKey, COMPAT_DIRECTORY: guestDirectory };
  return {
    plain: { ...common, E2B_API_URL: url, E2B_SANDBOX_URL: url },
    TLS: {
      ...common,
      E2B_DOMAIN: `sbx.test:${port}`,
      NODE_EXTRA_CA_CERTS: path.join(directory, "cert.pem"),
      NODE_OPTIONS: `--require ${path.join(import.meta.dirname, "resolve-here.cjs")}`,
    },
  };
}

async function certificateDirectory(held: AsyncDisposableStack): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), "larder-compat-"));
  held.defer(() => rm(directory, { recursive: true }));
  await writeFile(path.join(directory, "cert.pem"), testCertificate.cert);
  await writeFile(path.join(directory, "key.pem"), testCertificate.key);
  return directory;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as import("node:net").AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
