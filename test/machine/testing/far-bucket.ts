import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { FakeObjectStore } from "../../../src/bucket/testing/fake-object-store.ts";
import { testKeys } from "../../../src/bucket/testing/open-fake-bucket.ts";
import { SlowProxy, type SlowProxyOptions } from "../../../src/bucket/testing/slow-proxy.ts";

export interface FarBucketOptions extends Omit<SlowProxyOptions, "target"> {
  /** A directory bucket: its objects are those of this one. */
  readonly from: string;
}

/** A bucket of S3's kind that is far away, with all that a directory has. */
export class FarBucket {
  readonly proxy: SlowProxy;
  readonly #store: FakeObjectStore;

  private constructor(proxy: SlowProxy, store: FakeObjectStore) {
    this.proxy = proxy;
    this.#store = store;
  }

  static async start({ from, ...line }: FarBucketOptions): Promise<FarBucket> {
    const store = await FakeObjectStore.start({
      speaks: "s3",
      bucket: "templates",
      credential: testKeys.accessKeyId,
    });
    for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const file = path.join(entry.parentPath, entry.name);
      const tags = { etag: `"${store.objects.size}"`, mark: undefined, modifiedAt: Date.now() };
      store.objects.set(path.relative(from, file), { bytes: await readFile(file), ...tags });
    }
    return new FarBucket(await SlowProxy.start({ target: store.url, ...line }), store);
  }

  /** How a daemon finds it. */
  get environment(): Record<string, string> {
    return {
      LARDER_BUCKET: `s3://templates?endpoint=${this.proxy.url}&region=us-east-1`,
      AWS_ACCESS_KEY_ID: testKeys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: testKeys.secretAccessKey,
    };
  }

  /** Writes an object of this name, wherever it lies, into the directory of another bucket; false without one. */
  async save(name: string, directory: string): Promise<boolean> {
    const found = [...this.#store.objects].find(([key]) => path.basename(key) === name);
    if (found === undefined) return false;
    await writeFile(path.join(directory, found[0]), found[1].bytes);
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.#store[Symbol.asyncDispose]();
  }
}
