import { hash } from "node:crypto";
import type { Library, ModelChild } from "./library.ts";
import { manifestKey } from "../../src/build/object-keys.ts";
import type { Watch } from "./watch.ts";

export interface StoredObject {
  readonly bytes: Buffer;
  readonly modifiedAt: number;
}

/** What is in the bucket of a world by now; what is put is looked at. */
export class BucketContents {
  readonly #library: Library;
  readonly #watch: Watch;
  readonly #put = new Map<string, StoredObject>();

  constructor(library: Library, watch: Watch) {
    this.#library = library;
    this.#watch = watch;
  }

  /** A build exists when its manifest does. */
  has(build: string): boolean {
    return this.get(manifestKey(build)) !== undefined;
  }

  get(key: string): StoredObject | undefined {
    const published = this.#library.objects.get(key);
    return this.#put.get(key) ?? (published && { bytes: published, modifiedAt: 0 });
  }

  put(key: string, object: StoredObject): void {
    for (const child of this.#library.children) if (child.objects.has(key)) this.#check(child, key, object);
    this.#put.set(key, object);
  }

  /** C26: nothing is put of a build that exists, and its manifest last, and after those that it refers to. */
  #check({ build, manifest, objects }: ModelChild, key: string, { bytes }: StoredObject): void {
    if (this.has(build)) this.#watch.violate(`C26: ${key} is put although the build exists`);
    if (!objects.get(key)?.equals(bytes))
      this.#watch.violate(`C26: ${key} is put with other bytes (${hash("md5", bytes)})`);
    if (key !== manifestKey(build)) return;
    for (const [other, expected] of objects)
      if (other !== key && !this.get(other)?.bytes.equals(expected))
        this.#watch.violate(`C26: the manifest of ${build} is put before ${other}`);
    for (const ancestor of manifest.ancestors)
      if (!this.has(ancestor.build))
        this.#watch.violate(`C26: ${build} is published before ${ancestor.build}, which it refers to`);
  }
}
