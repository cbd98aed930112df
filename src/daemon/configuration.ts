import path from "node:path";
import { Failure } from "../base/failure.ts";
import * as read from "./setting-values.ts";
import type { Reader } from "./setting-values.ts";

/** What the defaults depend on. */
export interface HostFacts {
  readonly home: string;
  readonly memoryBytes: number;
  readonly cores: number;
}

interface Setting<Value> {
  readonly variable: string;
  readonly means: string;
  readonly read: Reader<Value>;
  /** The text that stands for an unset variable; undefined leaves it unset. */
  readonly otherwise: (host: HostFacts) => string | undefined;
  readonly secret?: true;
}

const gibibyte = 2 ** 30;

/** Every setting there is: its variable, what it means, what it may be, what it is when nobody says. */
export const settings = {
  data: {
    variable: "LARDER_DATA",
    means: "all state, mode 0700",
    read: read.directory,
    otherwise: ({ home }) => path.join(home, ".local/share/larder"),
  },
  host: {
    variable: "LARDER_HOST",
    means: "the address to bind",
    read: read.host,
    otherwise: () => "127.0.0.1",
  },
  port: { variable: "LARDER_PORT", means: "the one port", read: read.port, otherwise: () => "8700" },
  domain: {
    variable: "LARDER_DOMAIN",
    means: "serves PORT-ID.DOMAIN too",
    read: read.domain,
    otherwise: () => undefined,
  },
  tlsCert: {
    variable: "LARDER_TLS_CERT",
    means: "a certificate in PEM, with its chain: the port speaks TLS; needs LARDER_TLS_KEY",
    read: read.directory,
    otherwise: () => undefined,
  },
  tlsKey: {
    variable: "LARDER_TLS_KEY",
    means: "the key of LARDER_TLS_CERT, PEM",
    read: read.directory,
    otherwise: () => undefined,
  },
  bucket: {
    variable: "LARDER_BUCKET",
    means: "object storage, file:///, s3:// or gs://; unset: the folder bucket in LARDER_DATA",
    read: read.bucketUrl,
    otherwise: () => undefined,
  },
  shelfBytes: {
    variable: "LARDER_SHELF_BYTES",
    means: "what the template cache may keep on this disk",
    read: read.bytes(gibibyte / 4),
    otherwise: () => String(20 * gibibyte),
  },
  apiKey: {
    variable: "LARDER_API_KEY",
    means: "e2b_ and hex digits; unset: made once and kept in LARDER_DATA/api-key",
    read: read.apiKey,
    otherwise: () => undefined,
    secret: true,
  },
  accel: {
    variable: "LARDER_ACCEL",
    means: "how virtual machines run",
    read: read.oneOf(["auto", "kvm", "tcg"]),
    otherwise: () => "auto",
  },
  cache: {
    variable: "LARDER_CACHE",
    means: "verified downloads; may be shared and deleted",
    read: read.directory,
    otherwise: ({ home }) => path.join(home, ".cache/larder"),
  },
  debianMirror: {
    variable: "LARDER_DEBIAN_MIRROR",
    means: "where Debian's packages come from; unset: the host's own sources",
    read: read.anyText,
    otherwise: () => undefined,
  },
  debianSuite: {
    variable: "LARDER_DEBIAN_SUITE",
    means: "which Debian templates are made of; unset: chosen by the host's own",
    read: read.anyText,
    otherwise: () => undefined,
  },
  sandboxesMax: {
    variable: "LARDER_SANDBOXES_MAX",
    means: "sandboxes at once",
    read: read.count(1, 10_000),
    otherwise: () => "100",
  },
  memoryBytesMax: {
    variable: "LARDER_MEMORY_BYTES",
    means: "memory that all sandboxes together may claim",
    read: read.bytes(gibibyte / 4),
    // Sandboxes of one template share what they only read, so they may claim more than there is.
    otherwise: ({ memoryBytes }) => String(Math.max(2 * memoryBytes, gibibyte)),
  },
  restoresMax: {
    variable: "LARDER_RESTORES_MAX",
    means: "restores at once",
    read: read.count(1, 1000),
    otherwise: ({ cores }) => String(cores),
  },
  pool: {
    variable: "LARDER_POOL",
    means: "machines that wait, started, for the next sandboxes of a kind that was asked for",
    read: read.count(0, 100),
    otherwise: () => "0",
  },
  waitingMax: {
    variable: "LARDER_WAITING_MAX",
    means: "creates that may wait for a place; the next one gets 429",
    read: read.count(0, 10_000),
    otherwise: () => "256",
  },
  stallSeconds: {
    variable: "LARDER_STALL_SECONDS",
    means: "how long a sandbox waits for a disk that the bucket does not give, before it is ended",
    read: read.count(1, 7 * 86_400),
    otherwise: () => "3600",
  },
  peers: {
    variable: "LARDER_PEERS",
    means: "other nodes that share what they have fetched: HOST:PORT,HOST:PORT; unset: none",
    read: read.addresses,
    otherwise: () => undefined,
  },
  peerPort: {
    variable: "LARDER_PEER_PORT",
    means: "serves other nodes at a port of its own; unset: does not",
    read: read.port,
    otherwise: () => undefined,
  },
  peerHost: {
    variable: "LARDER_PEER_HOST",
    means: "the address to bind for other nodes",
    read: read.host,
    otherwise: () => "127.0.0.1",
  },
  peerSecret: {
    variable: "LARDER_PEER_SECRET",
    means: "what all nodes know and nobody else, of 32 characters or more",
    read: read.sharedSecret,
    otherwise: () => undefined,
    secret: true,
  },
  logLevel: {
    variable: "LARDER_LOG",
    means: "the least of what is logged",
    read: read.oneOf(["debug", "info", "warn", "error"]),
    otherwise: () => "info",
  },
} as const satisfies Record<string, Setting<unknown>>;

type Settings = typeof settings;
type Value<Name extends keyof Settings> = ReturnType<Settings[Name]["read"]>;
type Optional =
  | ("domain" | "tlsCert" | "tlsKey" | "apiKey" | "debianMirror" | "debianSuite")
  | ("peers" | "peerPort" | "peerSecret");

/** The settings in force. */
export type Configuration = {
  readonly [Name in keyof Settings]: Name extends Optional ? Value<Name> | undefined : Value<Name>;
};

/** Throws `invalid` with one sentence for each bad value. An empty variable counts as unset. */
export function readConfiguration(env: NodeJS.ProcessEnv, host: HostFacts): Configuration {
  const values: Record<string, unknown> = {};
  const faults: string[] = [];
  for (const [name, setting] of Object.entries<Setting<unknown>>(settings)) {
    const text = env[setting.variable] || setting.otherwise(host);
    try {
      values[name] = text === undefined ? undefined : setting.read(setting.variable, text);
    } catch (error) {
      faults.push(Failure.from(error).message);
    }
  }
  if ((values["tlsCert"] === undefined) !== (values["tlsKey"] === undefined))
    faults.push("LARDER_TLS_CERT and LARDER_TLS_KEY are only good together");
  const withPeers = values["peers"] !== undefined || values["peerPort"] !== undefined;
  if (withPeers && env["LARDER_PEER_SECRET"] === undefined)
    faults.push("LARDER_PEERS and LARDER_PEER_PORT need LARDER_PEER_SECRET, the same on all nodes");
  if (faults.length > 0) throw new Failure("invalid", faults.join("; "));
  values["bucket"] ??= `file://${encodeURI(path.join(String(values["data"]), "bucket"))}`;
  return values as Configuration;
}

export interface SettingInForce {
  readonly variable: string;
  readonly value: string | undefined;
  readonly from: "environment" | "default";
  readonly means: string;
}

/** The settings in force and where each came from, secrets blanked out; for people. */
export function describeConfiguration(env: NodeJS.ProcessEnv, host: HostFacts): SettingInForce[] {
  const values: Readonly<Record<string, string | number | readonly string[] | undefined>> = readConfiguration(
    env,
    host,
  );
  return Object.entries<Setting<unknown>>(settings).map(([name, { variable, means, secret }]) => {
    const value = values[name];
    const shown = secret === undefined || value === undefined ? value : "(secret)";
    const from = env[variable] ? "environment" : "default";
    return { variable, value: shown === undefined ? undefined : String(shown), from, means };
  });
}

/** Variables that look like ours and are not: most likely misspelt. */
export function unknownVariables(env: NodeJS.ProcessEnv): string[] {
  const known = new Set<string>(Object.values(settings).map(({ variable }) => variable));
  return Object.keys(env).filter((name) => name.startsWith("LARDER_") && !known.has(name));
}
