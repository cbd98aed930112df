/** What has been shown so far, for those who wait for something to appear. */
export class Screen {
  #text = "";
  #changed = Promise.withResolvers<void>();

  readonly show = (bytes: Uint8Array | string): void => {
    this.#text += Buffer.from(bytes as Uint8Array).toString();
    this.#changed.resolve();
  };

  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.#text)) {
      await this.#changed.promise;
      this.#changed = Promise.withResolvers<void>();
    }
  }
}
