import { createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";
import { FrameReader } from "../../build/frame-reader.ts";
import { encodeFrame, encodeJson, type FaultNews, frameKind, readFrame } from "../wire.ts";

export interface DaemonLinkOptions {
  readonly build: string;
  /** What a daemon that has just come must be asked for. */
  readonly missing: () => readonly number[];
  readonly onChunk: (chunk: number, bytes: Uint8Array) => boolean;
  readonly onEnd: () => void;
  readonly onGone: () => void;
}

/** The way to the daemon, whichever one there is: the last to come is the one that counts. */
export class DaemonLink {
  readonly #options: DaemonLinkOptions;
  readonly #server: Server;
  #daemon: Socket | undefined;

  private constructor(options: DaemonLinkOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#take(socket));
  }

  static async listen(path: string, options: DaemonLinkOptions): Promise<DaemonLink> {
    const link = new DaemonLink(options);
    link.#server.listen(path);
    await once(link.#server, "listening");
    return link;
  }

  get connected(): boolean {
    return this.#daemon !== undefined;
  }

  ask(chunk: number): void {
    this.#daemon?.write(encodeFrame(frameKind.want, chunk));
  }

  touched(chunk: number): void {
    this.#daemon?.write(encodeFrame(frameKind.touched, chunk));
  }

  page(page: number): void {
    this.#daemon?.write(encodeFrame(frameKind.page, page));
  }

  tell(chunk: number, news: FaultNews): void {
    this.#daemon?.write(encodeJson(frameKind.fault, chunk, news));
  }

  #take(socket: Socket): void {
    const { build, missing, onGone } = this.#options;
    this.#daemon?.destroy();
    this.#daemon = socket;
    socket.on("error", () => "its end is what counts");
    socket.on("close", () => {
      if (this.#daemon !== socket) return;
      this.#daemon = undefined;
      onGone();
    });
    socket.write(encodeJson(frameKind.hello, 0, { build }));
    for (const chunk of missing()) this.ask(chunk);
    void this.#hear(socket).catch(() => socket.destroy());
  }

  /** Ends the conversation with whoever says what makes no sense, or brings what nobody could use. */
  async #hear(socket: Socket): Promise<void> {
    const reader = new FrameReader(socket, "the daemon's socket");
    for (;;) {
      const { kind, chunk, body } = await readFrame(reader);
      if (kind === frameKind.end) return this.#options.onEnd();
      if (kind === frameKind.chunk && !this.#options.onChunk(chunk, body)) return void socket.destroy();
    }
  }
}
