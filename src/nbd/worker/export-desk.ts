import { Socket } from "node:net";
import type { Clock } from "../../base/clock.ts";
import { Failure } from "../../base/failure.ts";
import type { Logger } from "../../base/logger.ts";
import type { Meter } from "../../base/meter.ts";
import { Connection } from "../connection.ts";
import { DirectSink } from "../direct-sink.ts";
import { SharedImageDevice } from "../shared-image-device.ts";
import { SlabPool } from "../../base/slab-pool.ts";
import type { ExportFacts, FromWorker, ToWorker } from "./messages.ts";
import { ReadsElsewhere } from "./reads-elsewhere.ts";

export interface ExportDeskOptions {
  readonly post: (message: FromWorker) => void;
  /** Counts the sockets that were taken over. */
  readonly adopted: Int32Array;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

const arrivalBytes = 64 * 1024;

interface Client {
  readonly connection: Connection;
  readonly sink: DirectSink;
}

interface OpenExport {
  readonly facts: ExportFacts;
  readonly device: SharedImageDevice;
  readonly clients: Set<Client>;
}

/** The worker's side of all exports: serves the clients that it is handed, and does what it is told. */
export class ExportDesk {
  readonly #o: ExportDeskOptions;
  readonly #exports = new Map<number, OpenExport>();
  readonly #elsewhere: ReadsElsewhere;
  readonly #slabs = new SlabPool();
  /** Where all sockets read to: memory of its own for each read would cost more than the read. */
  readonly #arrivals = Buffer.allocUnsafeSlow(arrivalBytes);

  constructor(options: ExportDeskOptions) {
    this.#o = options;
    this.#elsewhere = new ReadsElsewhere(options.post);
  }

  take(message: ToWorker): void {
    switch (message.type) {
      case "export":
        return this.#open(message.facts);
      case "connect":
        return this.#connect(message.export, message.connection, message.descriptor);
      case "close":
        return void this.#close(message.export);
      case "destroy":
        return this.#destroy(message.export, new Failure(message.reason.code, message.reason.message));
      case "bytes":
        return this.#elsewhere.answer(message.key, message.bytes);
      case "failed":
        return this.#elsewhere.fail(message.key, message.failure);
      case "pass":
        return void this.#pass(message.key);
    }
  }

  #open(facts: ExportFacts): void {
    const device = new SharedImageDevice(facts.image, (offset, into, signal) =>
      this.#elsewhere.read(facts.id, offset, into, signal),
    );
    this.#exports.set(facts.id, { facts, device, clients: new Set() });
  }

  #connect(id: number, number: number, descriptor: number): void {
    Atomics.add(this.#o.adopted, 0, 1); // before anything can go wrong: two owners would be worse than none
    const callback = (bytes: number) => {
      client.connection.receive(this.#arrivals.subarray(0, bytes));
      return true;
    };
    const onread = { buffer: this.#arrivals, callback };
    const socket = new Socket({ fd: descriptor, allowHalfOpen: true, onread });
    const open = this.#exports.get(id);
    const gone = () => this.#o.post({ type: "gone", export: id, connection: number });
    if (open === undefined) {
      socket.destroy();
      return gone();
    }
    const { device, facts, clients } = open;
    const { clock, logger, meter } = this.#o;
    const sink = new DirectSink({
      socket,
      clock,
      onBroken: (failure) => {
        device.mistrust();
        logger.warn({ code: failure.code, why: failure.message }, "NBD client hung up on");
        client.connection.destroy(failure);
      },
    });
    const common = { clock, logger, meter, device, slabs: this.#slabs };
    const { offer, limits } = facts;
    const client: Client = { sink, connection: new Connection({ ...common, socket, sink, offer, limits }) };
    clients.add(client);
    void client.connection.closed.then(() => {
      clients.delete(client);
      gone();
    });
  }

  async #close(id: number): Promise<void> {
    const clients = [...(this.#exports.get(id)?.clients ?? [])];
    await Promise.all(clients.map(({ connection }) => connection.close()));
    this.#exports.delete(id);
    this.#o.post({ type: "closed", export: id });
  }

  #destroy(id: number, reason: Failure): void {
    for (const { connection } of this.#exports.get(id)?.clients ?? []) connection.destroy(reason);
  }

  async #pass(key: number): Promise<void> {
    const clients = [...this.#exports.values()].flatMap((open) => [...open.clients]);
    await Promise.all(clients.map(({ sink }) => sink.letGoOfFiles()));
    this.#o.post({ type: "passed", key });
  }
}
