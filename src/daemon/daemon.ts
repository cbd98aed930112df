import path from "node:path";
import { ApiServer } from "../api/api-server.ts";
import type { Certificate } from "../api/one-port.ts";
import { systemClock } from "../base/clock.ts";
import { silentMeter } from "../base/meter.ts";
import { systemRandom } from "../base/random.ts";
import { openBucket } from "../bucket/open-bucket.ts";
import type { Accelerator } from "../machine/machine-spec.ts";
import { Store } from "../store/store.ts";
import { type Imported, importTemplates } from "../template/import-templates.ts";
import type { OnProgress } from "../template/progress.ts";
import { addressesOf } from "./addresses.ts";
import { readOrMakeApiKey } from "./api-key-file.ts";
import { apiRooms } from "./api-rooms.ts";
import { needBase, provideBase } from "./base-template.ts";
import { CertificateFiles } from "./certificate-files.ts";
import { claimAddress } from "./claim-address.ts";
import type { Configuration } from "./configuration.ts";
import { EndsInOrder } from "./ends-in-order.ts";
import { openLog } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { enterPremises } from "./premises.ts";
import { announce } from "./presence.ts";
import { SandboxLog } from "./sandbox-log.ts";
import { openTraces } from "./traces.ts";
import { readVersion } from "./version.ts";
import { wireNetworks } from "./wire-networks.ts";
import { type Builds, endFormerSandboxes, type Ground, wireBuilds, wireSandboxes } from "./wiring.ts";

export interface DaemonOptions {
  readonly configuration: Configuration;
  readonly env: NodeJS.ProcessEnv;
  readonly onProgress: OnProgress;
}

/** How long each room may take to end; all of them together take less than `larder stop` waits. */
const endMsMax = 6000;

interface Facts {
  /** For people. */
  readonly url: string;
  /** What the e2b package must be told, but for the key. */
  readonly variables: Readonly<Record<string, string>>;
  readonly apiKey: string;
  /** What virtual machines run with, and why. */
  readonly accelerator: Accelerator;
}

/** What becomes of machines that run, when the daemon ends. */
interface Ending {
  running: "end" | "leave";
}

/** One daemon: everything that serves one data directory. */
export class Daemon implements AsyncDisposable {
  readonly facts: Facts;
  readonly #ends: EndsInOrder;
  readonly #ending: Ending;

  private constructor(facts: Facts, ends: EndsInOrder, ending: Ending) {
    this.facts = facts;
    this.#ends = ends;
    this.#ending = ending;
  }

  /**
   * Resolves when it answers requests. `template` says what to do when there is none for this host: make it, or
   * throw `not_found`. Nothing is left of a start that failed or was aborted.
   */
  static async start(
    options: DaemonOptions & { readonly template: "make" | "need" },
    signal: AbortSignal,
  ): Promise<Daemon> {
    const { configuration, onProgress, template } = options;
    const { host: boundHost, port } = configuration;
    // A start that fails does not end what it has taken over.
    const ending: Ending = { running: "leave" };
    const serve = async (ground: Ground, builds: Builds, ends: EndsInOrder) => {
      await claimAddress(boundHost, port);
      const certificate = await certificateOf(ground, ends);
      await endFormerSandboxes(ground, builds.store, "spare");
      const wish = { when: "if needed", onProgress } as const;
      const host = await (template === "make"
        ? provideBase(ground, builds, wish, signal)
        : needBase(ground, builds));
      const apiKey = configuration.apiKey ?? (await readOrMakeApiKey(configuration.data, systemRandom));
      await builds.store.apiKeys.set("local", apiKey);
      const networks = await wireNetworks(ground, ends, signal);
      const end = { ends, running: () => ending.running };
      const made = await wireSandboxes(ground, builds, { host, networks }, end);
      // Whoever has lived on holds its leases by now.
      await builds.cache.settle();
      builds.register.start();
      signal.throwIfAborted();
      const version = readVersion();
      const rooms = apiRooms(ground, builds, made, networks);
      const listening = { ...rooms, boundHost, port, version, certificate };
      const api = ends.hold("api", await ApiServer.listen(listening));
      const { domain } = configuration;
      const tls = certificate !== undefined;
      const addresses = addressesOf({ boundHost, port: api.port, tls, domain });
      ends.hold("presence", await announce(configuration.data, addresses.here, version, addresses));
      const { accelerator } = host;
      const { shown: url, variables } = addresses;
      ground.logger.info({ url, version, accelerator }, "the daemon is ready");
      return new Daemon({ url, variables, apiKey, accelerator }, ends, ending);
    };
    return await withBuilds(options, serve, signal);
  }

  /** Makes the base template anew; nobody is served meanwhile. */
  static async buildBase(options: DaemonOptions, signal: AbortSignal): Promise<void> {
    const make = async (ground: Ground, builds: Builds, ends: EndsInOrder) => {
      await builds.cache.settle();
      await provideBase(ground, builds, { when: "anew", onProgress: options.onProgress }, signal);
      await ends.end();
    };
    await withBuilds(options, make, signal);
  }

  /** Makes a lost store again from its bucket; no daemon may run on this data directory. */
  static async importTemplates(
    { configuration, env }: Omit<DaemonOptions, "onProgress">,
    lostNodes: readonly string[],
    signal: AbortSignal,
  ): Promise<Imported> {
    const logger = openLog(configuration.logLevel);
    using _premises = await enterPremises(configuration.data, env);
    const [clock, random] = [systemClock, systemRandom];
    const database = { path: path.join(configuration.data, "larder.db"), clock, random, logger };
    await using store = await Store.open(database);
    const bucketGround = { clock, random, meter: silentMeter, environment: env };
    await using bucket = openBucket(configuration.bucket, bucketGround);
    return await importTemplates({ bucket, store, random, lostNodes }, signal);
  }

  /** Ends all sandboxes that a daemon has left running on this data directory; resolves to how many there were. */
  static async endFormer({ configuration, env }: Omit<DaemonOptions, "onProgress">): Promise<number> {
    const logger = openLog(configuration.logLevel);
    using premises = await enterPremises(configuration.data, env);
    const ground = { configuration, premises, clock: systemClock, random: systemRandom, logger };
    await using store = await Store.open({ ...ground, path: path.join(configuration.data, "larder.db") });
    return await endFormerSandboxes(ground, store, "end");
  }

  /** Ends everything in order, within a bound. Machines of sandboxes end too, or are left for the next daemon. */
  close(running: Ending["running"] = "end"): Promise<void> {
    this.#ending.running = running;
    return this.#ends.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Opens what a daemon stands on, and uses it; what goes wrong ends all that was begun. */
async function withBuilds<T>(
  { configuration, env }: DaemonOptions,
  use: (ground: Ground, builds: Builds, ends: EndsInOrder) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const logger = new SandboxLog(openLog(configuration.logLevel), systemClock);
  const metrics = new Metrics((name) => logger.warn({ name }, "a metric is not declared"));
  const ends = new EndsInOrder({ eachMsMax: endMsMax, clock: systemClock, logger });
  try {
    const tracer = ends.hold("traces", await openTraces(env, readVersion()));
    const premises = ends.hold("premises", await enterPremises(configuration.data, env));
    const [clock, random] = [systemClock, systemRandom];
    const ground = { configuration, premises, logger, logs: logger, metrics, clock, random, tracer };
    return await use(ground, await wireBuilds(ground, ends, signal), ends);
  } catch (error) {
    await ends.end();
    throw error;
  }
}

/** Undefined when the operator gave none. */
async function certificateOf(
  { configuration, clock, logger }: Ground,
  ends: EndsInOrder,
): Promise<Certificate | undefined> {
  const { tlsCert: certPath, tlsKey: keyPath } = configuration;
  if (certPath === undefined || keyPath === undefined) return undefined;
  const files = await CertificateFiles.open({ certPath, keyPath, clock, logger });
  return ends.hold("certificate", files);
}
