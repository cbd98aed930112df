import { once } from "node:events";
import type { ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { encodeFrameHead } from "../frames.ts";
import { GroupSet } from "../group-set.ts";
import { serverKey } from "../peer-key.ts";
import { encodeStanding, questionOf } from "../question.ts";
import { rankOf } from "../rendezvous.ts";
import { testBuild, testSecret } from "./numbered-image.ts";

export interface RogueOptions {
  readonly node: string;
  readonly leases?: boolean;
  /** Groups of the disk that it says it has. */
  readonly has?: readonly number[];
  /** Groups of the memory that it says it has. */
  readonly hasMemory?: readonly number[];
  /** Digests of inputs that it says it has. */
  readonly inputs?: readonly string[];
  /** What it does when it is asked for one; else it has none. */
  readonly onInput?: (response: ServerResponse) => void;
  /** What it does when it is asked about a build; else it answers as its other options say. */
  readonly onBuild?: (response: ServerResponse) => void;
  /** What it does when it is asked for chunks. */
  readonly onChunks: (firstChunk: number, response: ServerResponse) => void;
}

/** A peer that knows the secret, and does what the test wants. */
export class RoguePeer implements AsyncDisposable {
  /** Questions that reached it. */
  readonly asked = { build: 0, chunks: 0, input: 0 };
  readonly #server: https.Server;

  private constructor(options: RogueOptions) {
    this.#server = https.createServer(serverKey(testSecret), (request, response) => {
      const question = questionOf(request.url ?? "");
      this.asked[question.kind] += 1;
      if (question.kind === "chunks") options.onChunks(question.firstChunk, response);
      else if (question.kind === "input")
        (options.onInput ?? ((to) => to.end(encodeFrameHead("no"))))(response);
      else if (options.onBuild !== undefined) options.onBuild(response);
      else response.end(standing(options));
    });
  }

  static async listen(options: RogueOptions): Promise<RoguePeer> {
    const rogue = new RoguePeer(options);
    rogue.#server.listen(0, "127.0.0.1");
    await once(rogue.#server, "listening");
    return rogue;
  }

  get address(): { host: string; port: number } {
    return { host: "127.0.0.1", port: (this.#server.address() as AddressInfo).port };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

function standing({ node, leases = true, has = [], hasMemory = [], inputs = [] }: RogueOptions): Buffer {
  const memory = GroupSet.of(hasMemory);
  const sets = { rootfs: GroupSet.of(has), memfile: memory, firstpages: memory };
  return encodeStanding({ node, leases, has: sets, inputs });
}

/** Sends one chunk as a peer does. */
export function sendChunk(response: ServerResponse, index: number, bytes: Uint8Array): void {
  response.write(encodeFrameHead("have", index, bytes.length));
  response.write(bytes);
}

/** A name that stands above or below `node` in all of the first `groups` groups of the test build's disk. */
export function nameThatStands(where: "above" | "below", node: string, groups: number, not = ""): string {
  for (let i = 0; ; i++) {
    const name = `rogue${i}`;
    const isRight = (group: number) => {
      const [own, other] = [node, name].map((each) => rankOf(each, testBuild, "rootfs", group));
      return (other ?? "") > (own ?? "") === (where === "above");
    };
    if (name !== not && Array.from({ length: groups }, (_, group) => group).every(isRight)) return name;
  }
}
