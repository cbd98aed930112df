/** Where a daemon listens, and what its operator said of it. */
export interface Listening {
  readonly boundHost: string;
  readonly port: number;
  readonly tls: boolean;
  /** With a port if clients need one. */
  readonly domain: string | undefined;
}

/** Where a daemon is found, by whom. */
export interface Addresses {
  /** By programs on this machine: plain HTTP, which needs nobody's certificate. */
  readonly here: string;
  /** By everybody else; for people to read. */
  readonly shown: string;
  /** The ports of its sandboxes, with `*` for PORT-ID. */
  readonly sandboxes: string;
  /** What the e2b package must be told, but for the key. */
  readonly variables: Readonly<Record<string, string>>;
}

export function addressesOf({ boundHost, port, tls, domain }: Listening): Addresses {
  const here = `http://${hostInUrl(boundHost)}:${port}`;
  if (!tls) {
    const suffix = domain === undefined ? "localhost" : domain;
    const sandboxes = `http://*.${/:\d+$/.test(suffix) ? suffix : `${suffix}:${port}`}`;
    return { here, shown: here, sandboxes, variables: { E2B_API_URL: here, E2B_SANDBOX_URL: here } };
  }
  if (domain !== undefined) {
    const variables = { E2B_DOMAIN: domain };
    return { here, shown: `https://api.${domain}`, sandboxes: `https://*.${domain}`, variables };
  }
  const shown = here.replace("http:", "https:");
  const variables = { E2B_API_URL: shown, E2B_SANDBOX_URL: shown };
  return { here, shown, sandboxes: `https://*.localhost:${port}`, variables };
}

/** Where clients on this machine find it; who binds to every address is found at the nearest one. */
function hostInUrl(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
