import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { encodeNeeds, needsKey } from "../build/node-needs.ts";
import { readSmall } from "../build/read-small.ts";
import { allObjects } from "../build/survey-bucket.ts";
import {
  cardBytesMax,
  cardKey,
  cardPrefix,
  encodeCard,
  type NamedTemplate,
  parseCard,
  type TemplateCard,
} from "../build/template-card.ts";
import type { TemplateCards } from "../store/template-cards.ts";

export interface BucketRegisterOptions {
  readonly bucket: Bucket;
  readonly cards: Pick<TemplateCards, "all" | "needed">;
  /** The id of this node. */
  readonly node: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How often the store is looked at, whether or not somebody said that it has changed. */
const everyMs = 60_000;
/** The pause after a failure; it doubles each time. */
const pauseMsFirst = 1_000;
/** How long a last attempt may take when the daemon ends. */
const lastMsMax = 2_000;

/**
 * Keeps a copy in the bucket of what the store knows of names (`templates/`), so that a lost store can be made again,
 * and of the builds that this node needs (`nodes/`), so that no collection on another node removes them.
 */
export class BucketRegister implements AsyncDisposable {
  readonly #options: BucketRegisterOptions;
  readonly #over = new AbortController();
  /** What was put last, by key. */
  readonly #put = new Map<string, string>();
  #isDue = true;
  #pauseMs = pauseMsFirst;
  #timer: Disposable | undefined;
  #underWay: Promise<void> | undefined;

  constructor(options: BucketRegisterOptions) {
    this.#options = options;
  }

  /** The id of this node. */
  get node(): string {
    return this.#options.node;
  }

  /** Names or builds have changed: the bucket is told soon, and again until it has heard. */
  changed(): void {
    this.#isDue = true;
    if (this.#underWay === undefined && this.#pauseMs === pauseMsFirst) this.#next(0);
  }

  /** Begins to look by itself. */
  start(): void {
    this.#next(0);
  }

  /** Tells the bucket now. */
  async sync(signal: AbortSignal): Promise<void> {
    while (this.#underWay !== undefined) await this.#underWay;
    this.#underWay = this.#tell(signal).finally(() => {
      this.#underWay = undefined;
    });
    await this.#underWay;
  }

  /** Tells the bucket once more if it has not heard all yet, within a bound. */
  async close(): Promise<void> {
    if (this.#over.signal.aborted) return;
    this.#over.abort(new Failure("cancelled", "the daemon is stopping"));
    this.#timer?.[Symbol.dispose]();
    await this.#underWay?.catch(() => {});
    if (!this.#isDue) return;
    using patience = deadline(this.#options.clock, lastMsMax, "the last word to the bucket");
    await this.#tell(patience.signal).catch((error: unknown) => this.#complain(error));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #next(ms: number): void {
    this.#timer?.[Symbol.dispose]();
    if (this.#over.signal.aborted) return;
    this.#timer = this.#options.clock.after(ms, () => void this.#look());
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    if (this.#underWay !== undefined) return this.#next(pauseMsFirst);
    try {
      await this.sync(this.#over.signal);
      this.#pauseMs = pauseMsFirst;
      this.#next(this.#isDue ? 0 : everyMs);
    } catch (error) {
      if (this.#over.signal.aborted) return;
      this.#complain(error);
      this.#next(this.#pauseMs);
      this.#pauseMs = Math.min(2 * this.#pauseMs, everyMs);
    }
  }

  async #tell(signal: AbortSignal): Promise<void> {
    const { cards, node } = this.#options;
    this.#isDue = false;
    try {
      await this.#tellNeeds([...(await cards.needed())].sort(), signal);
      const all = await cards.all();
      for (const each of all) await this.#tellName(each, signal);
      const keys = new Set(all.map(({ template }) => cardKey(template.name)));
      for await (const { key } of allObjects(this.#options.bucket, cardPrefix, signal)) {
        if (keys.has(key) || (await this.#read(key, signal))?.node !== node) continue;
        await this.#options.bucket.delete(key, signal);
        this.#put.delete(key);
      }
    } catch (error) {
      this.#isDue = true;
      throw error;
    }
  }

  async #tellNeeds(builds: string[], signal: AbortSignal): Promise<void> {
    const { bucket, node, clock } = this.#options;
    const key = needsKey(node);
    const text = builds.join();
    if (this.#put.get(key) === text) return;
    await bucket.put(key, encodeNeeds({ node, writtenAt: clock.now(), builds }), {}, signal);
    this.#put.set(key, text);
  }

  /** What another node that knows the name has told later stays. */
  async #tellName(own: NamedTemplate, signal: AbortSignal): Promise<void> {
    const { bucket, node } = this.#options;
    const key = cardKey(own.template.name);
    const bytes = encodeCard(own, node);
    if (this.#put.get(key) === String(bytes)) return;
    const there = await this.#read(key, signal);
    const isNewer = there !== undefined && there.node !== node && changedAt(there) >= changedAt(own);
    if (!isNewer) await bucket.put(key, bytes, {}, signal);
    this.#put.set(key, String(bytes));
  }

  /** Undefined when there is none, or none that can be read: it is written anew then. */
  async #read(key: string, signal: AbortSignal): Promise<TemplateCard | undefined> {
    try {
      return parseCard(await readSmall(this.#options.bucket, key, cardBytesMax, signal), key);
    } catch (error) {
      if (Failure.is(error, "not_found") || Failure.is(error, "corrupt")) return undefined;
      throw error;
    }
  }

  #complain(error: unknown): void {
    this.#options.logger.warn({ error }, "the bucket could not be told yet of names and needed builds");
  }
}

function changedAt({ template, tags }: NamedTemplate): number {
  return Math.max(template.updatedAt, ...tags.map(({ createdAt }) => createdAt));
}
