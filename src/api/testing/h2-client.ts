import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import type { IncomingHttpHeaders, IncomingHttpStatusHeader, OutgoingHttpHeaders } from "node:http2";
import type { TestApi } from "./test-api.ts";

/** An HTTP/2 client of a test's API, for one host; over TLS if the API speaks that. */
export class H2Client implements AsyncDisposable {
  readonly session: ClientHttp2Session;
  readonly #host: string;

  private constructor(session: ClientHttp2Session, host: string) {
    this.session = session;
    this.#host = host;
  }

  static async connect(api: TestApi, host: string): Promise<H2Client> {
    const session = connect(api.url, { rejectUnauthorized: false, settings: { initialWindowSize: 65_535 } });
    session.on("error", () => {});
    await once(session, "connect");
    return new H2Client(session, host);
  }

  /** Sends the headers; the body is up to the caller. */
  open(headers: OutgoingHttpHeaders): ClientHttp2Stream {
    const stream = this.session.request({ ":authority": this.#host, ...headers });
    stream.on("error", () => {});
    return stream;
  }

  /** Resolves with the head of the answer. */
  async request(headers: OutgoingHttpHeaders, body?: Buffer) {
    const stream = this.open(headers);
    stream.end(body);
    const [head] = (await once(stream, "response")) as [IncomingHttpHeaders & IncomingHttpStatusHeader];
    return { head, stream };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.session.destroyed) return;
    this.session.destroy();
    await once(this.session, "close");
  }
}
