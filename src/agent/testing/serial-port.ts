import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** What is held of a host's bytes while there is no agent. */
const heldBytesMax = 1024 * 1024;

/**
 * Stands for the port that a machine shows to its host: unlike a socket of the agent's own, it stays open when the
 * agent dies, and what the host says meanwhile waits for the next one.
 */
export class SerialPort implements AsyncDisposable {
  readonly #server: Server;
  #host: Socket | undefined;
  #agent: Socket | undefined;
  #held: Buffer[] = [];

  static async listen(path: string): Promise<SerialPort> {
    const port = new SerialPort();
    await once(port.#server.listen(path), "listening");
    return port;
  }

  private constructor() {
    this.#server = createServer((host) => {
      this.#host?.destroy();
      this.#host = host;
      host.on("error", () => {});
      host.on("data", (bytes) => {
        if (this.#agent !== undefined) this.#agent.write(bytes);
        else if (Buffer.concat(this.#held).length < heldBytesMax) this.#held.push(bytes);
      });
      host.on("close", () => {
        if (this.#host === host) this.#host = undefined;
      });
    });
  }

  /** The agent that listens at `path` has opened the port. */
  async plug(path: string): Promise<void> {
    const agent = connect(path);
    await once(agent, "connect");
    this.#agent = agent;
    agent.on("error", () => {});
    agent.on("data", (bytes) => this.#host?.write(bytes));
    agent.on("close", () => {
      if (this.#agent === agent) this.#agent = undefined;
    });
    for (const bytes of this.#held.splice(0)) agent.write(bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#host?.destroy();
    this.#agent?.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
