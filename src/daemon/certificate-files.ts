import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import type { Certificate } from "../api/one-port.ts";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";

export interface CertificateFilesOptions {
  readonly certPath: string;
  readonly keyPath: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How soon a renewed certificate is noticed. */
const lookMs = 60_000;

type Pem = Certificate["current"];

/**
 * A certificate and its key in two files, read again every minute: whoever renews them need not tell us. A pair that
 * does not fit, as in the middle of a renewal, is passed over.
 */
export class CertificateFiles implements Certificate, Disposable {
  readonly #options: CertificateFilesOptions;
  readonly #listeners = new Set<() => void>();
  #current: Pem;
  #refused: Pem | undefined;
  #next: Disposable | undefined;
  #closed = false;

  private constructor(options: CertificateFilesOptions, current: Pem) {
    this.#options = options;
    this.#current = current;
    this.#lookLater();
  }

  /** Throws `invalid`, naming the setting, when there is no such pair. */
  static async open(options: CertificateFilesOptions): Promise<CertificateFiles> {
    const pem = await read(options);
    check(pem);
    return new CertificateFiles(options, pem);
  }

  get current(): Pem {
    return this.#current;
  }

  onRenewal(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#next?.[Symbol.dispose]();
  }

  #lookLater(): void {
    if (this.#closed) return;
    this.#next = this.#options.clock.after(lookMs, () => void this.#look().finally(() => this.#lookLater()));
  }

  async #look(): Promise<void> {
    const { logger } = this.#options;
    const pem = await read(this.#options).catch((error: unknown) => {
      logger.warn({ error }, "the certificate cannot be read; the former one stays in use");
    });
    if (pem === undefined || isSame(pem, this.#current) || isSame(pem, this.#refused)) return;
    try {
      check(pem);
    } catch (error) {
      this.#refused = pem;
      logger.warn({ error }, "the renewed certificate is not good; the former one stays in use");
      return;
    }
    this.#current = pem;
    for (const listener of this.#listeners) listener();
    logger.info({}, "the certificate was renewed");
  }
}

async function read({ certPath, keyPath }: CertificateFilesOptions): Promise<Pem> {
  const [cert, key] = await Promise.all([
    readOne("LARDER_TLS_CERT", certPath),
    readOne("LARDER_TLS_KEY", keyPath),
  ]);
  return { cert, key };
}

async function readOne(variable: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new Failure("invalid", `${variable}: ${path} cannot be read`, { cause: error });
  }
}

function check(pem: Pem): void {
  try {
    createSecureContext(pem);
  } catch (error) {
    const message = "LARDER_TLS_CERT and LARDER_TLS_KEY are no PEM certificate and the key to it";
    throw new Failure("invalid", message, { cause: error });
  }
}

function isSame(a: Pem, b: Pem | undefined): boolean {
  return b !== undefined && a.cert.equals(b.cert) && a.key.equals(b.key);
}
