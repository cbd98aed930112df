import { abortable, ignore } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";
import type { Reservation, Room } from "./room.ts";

/**
 * The room of one build. There is none before its manifest lies on the shelf and the journal knows of it, because
 * nothing of a build counts without that: until the disk takes it, all is passed through (C18).
 */
export class BuildRoom {
  readonly #room: Room;
  readonly #record: () => Promise<boolean>;
  #recorded: boolean;
  #recording: Promise<boolean> | undefined;

  /** `record` tries to keep the manifest and to tell the journal. */
  constructor(room: Room, recorded: boolean, record: () => Promise<boolean>) {
    this.#room = room;
    this.#recorded = recorded;
    this.#record = record;
  }

  /** The journal knows of the build. If not, it goes with its last lease. */
  get recorded(): boolean {
    return this.#recorded;
  }

  async tryReserve(bytes: number, signal: AbortSignal): Promise<Reservation | undefined> {
    return (await abortable(this.#ensure(), signal)) ? await this.#room.tryReserve(bytes, signal) : undefined;
  }

  async reserveLarge(bytes: number, what: string, signal: AbortSignal): Promise<Reservation> {
    if (await abortable(this.#ensure(), signal)) return await this.#room.reserveLarge(bytes, what, signal);
    throw new Failure("exhausted", `${what} needs ${bytes} bytes, and the shelf takes nothing of this build`);
  }

  lackFor(what: string): string | undefined {
    return this.#room.lackFor(what);
  }

  adjust(bytes: number): void {
    this.#room.adjust(bytes);
  }

  /** Resolves when nothing is being kept or told for it any more, also if nobody waits for that. */
  async settled(): Promise<void> {
    await this.#recording?.catch(ignore); // told to those who wait
  }

  /** One at a time, and tried again with every read: a disk that recovers is used again. */
  async #ensure(): Promise<boolean> {
    if (this.#recorded) return true;
    this.#recording ??= this.#record().finally(() => (this.#recording = undefined));
    this.#recorded = await this.#recording;
    return this.#recorded;
  }
}
