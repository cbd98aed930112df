import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

export interface Asked {
  readonly execute: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly id: number;
}

/** What becomes of a command: an answer's fields (`return` or `error`), or nothing at all. */
export type Answerer = (asked: Asked) => object | undefined;

/** A VMM's control socket: greets like QEMU, keeps what it is asked, and answers as told. */
export class FakeVmm implements AsyncDisposable {
  readonly path: string;
  readonly asked: Asked[] = [];
  answer: Answerer = () => ({ return: {} });
  readonly #directory: string;
  readonly #server: Server;
  #client: Socket | undefined;

  private constructor(directory: string, server: Server) {
    this.#directory = directory;
    this.#server = server;
    this.path = path.join(directory, "qmp");
  }

  static async listen(): Promise<FakeVmm> {
    const server = createServer();
    const vmm = new FakeVmm(await mkdtemp(path.join(tmpdir(), "vmm-")), server);
    server.on("connection", (socket) => vmm.#greet(socket));
    await new Promise<void>((resolve) => server.listen(vmm.path, resolve));
    return vmm;
  }

  /** Sends bytes as they are: events, answers out of order, nonsense. */
  say(text: string): void {
    this.#client?.write(text);
  }

  tell(message: object): void {
    this.say(`${JSON.stringify(message)}\r\n`);
  }

  hangUp(): void {
    this.#client?.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hangUp();
    await new Promise((resolve) => this.#server.close(resolve));
    await rm(this.#directory, { recursive: true });
  }

  #greet(socket: Socket): void {
    this.#client = socket;
    let held = "";
    socket.setEncoding("utf8");
    socket.on("error", () => {});
    socket.on("data", (text: string) => {
      const lines = (held + text).split("\n");
      held = lines.pop() ?? "";
      for (const line of lines) this.#take(JSON.parse(line) as Asked);
    });
    this.tell({ QMP: { version: { qemu: { major: 10, minor: 0, micro: 2 } }, capabilities: ["oob"] } });
  }

  #take(asked: Asked): void {
    this.asked.push(asked);
    const answer = asked.execute === "qmp_capabilities" ? { return: {} } : this.answer(asked);
    if (answer !== undefined) this.tell({ ...answer, id: asked.id });
  }
}
