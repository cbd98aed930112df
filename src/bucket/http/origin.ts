import { isIP, connect as connectPlain, type OnReadOpts, type Socket } from "node:net";
import { connect as connectSecure } from "node:tls";

/** Whom a client speaks to. */
export interface Origin {
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  /** Certificates to trust instead of the system's, in PEM. */
  readonly ca?: string;
}

/** Takes `http:` and `https:` URLs; what else is in them is not looked at. */
export function originOf(url: URL): Origin {
  const secure = url.protocol === "https:";
  const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port);
  return { secure, host: url.hostname.replace(/^\[|\]$/g, ""), port };
}

/** Begins to connect. TLS sessions are resumed when `session` is handed in again. */
export function connectTo(origin: Origin, onread: OnReadOpts, session: Buffer | undefined): Socket {
  const { secure, host, port, ca } = origin;
  const common = { host, port, onread, noDelay: true };
  if (!secure) return connectPlain(common);
  return connectSecure({
    ...common,
    ALPNProtocols: ["http/1.1"],
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(session === undefined ? {} : { session }),
    ...(ca === undefined ? {} : { ca }),
  });
}
