import { Failure } from "../base/failure.ts";
import type { Random } from "../base/random.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { ownerOf } from "../build/claim-bucket.ts";
import type { Manifest } from "../build/manifest.ts";
import { readSmall } from "../build/read-small.ts";
import { allObjects, readManifest } from "../build/survey-bucket.ts";
import {
  cardBytesMax,
  cardKey,
  cardPrefix,
  type NamedTemplate,
  parseCard,
  type TemplateCard,
} from "../build/template-card.ts";
import type { Store } from "../store/store.ts";
import { rescueBuilds } from "./rescue-builds.ts";

export interface Imported {
  /** The id of the store that the bucket belongs to, and now this one has. */
  readonly store: string;
  readonly templates: readonly { readonly name: string; readonly tags: readonly string[] }[];
  /** What was not taken over, and why in half a sentence. */
  readonly skipped: readonly { readonly name: string; readonly tag?: string; readonly because: string }[];
}

export interface ImportOptions {
  readonly bucket: Bucket;
  readonly store: Store;
  readonly random: Random;
  /** Nodes that are no more: what slept on them becomes snapshots. */
  readonly lostNodes?: readonly string[];
}

/**
 * Makes a lost store again from its bucket: names and tags of templates and snapshots, and the builds that they lead
 * to. Into a store that lacks some of them, it brings those. Throws `conflict`, and changes nothing, when this store
 * holds something and is not the bucket's.
 */
export async function importTemplates(options: ImportOptions, signal: AbortSignal): Promise<Imported> {
  const { bucket, store } = options;
  const owner = await ownerOf(bucket, signal);
  if (owner !== store.settings.storeId) {
    if (!(await store.cards.isEmpty()))
      throw new Failure(
        "conflict",
        `${bucket.name} belongs to another store, ${owner}, and this one is in use`,
      );
    await store.settings.become(owner);
  }
  const templates: { name: string; tags: string[] }[] = [];
  const skipped: { name: string; tag?: string; because: string }[] = [];
  for await (const { key } of allObjects(bucket, cardPrefix, signal)) {
    const card = await readCard(bucket, key, signal).catch((error: unknown) => {
      if (!Failure.is(error, "corrupt") && !Failure.is(error, "invalid")) throw error;
      skipped.push({ name: key, because: error.message });
      return undefined;
    });
    if (card === undefined) continue;
    const { name } = card.template;
    const whole = await withoutLost(bucket, card, signal);
    const has = new Set(whole.tags.map(({ tag }) => tag));
    for (const { tag } of card.tags.filter((each) => !has.has(each.tag)))
      skipped.push({ name, tag, because: "its build is not in the bucket, or not all that it refers to" });
    if (whole.tags.length === 0) continue;
    if (!(await store.cards.insert(whole))) skipped.push({ name, because: "the store knows it already" });
    else {
      for (const manifest of whole.children) await rememberChild(store, manifest);
      templates.push({ name, tags: [...has] });
    }
  }
  templates.push(...(await importLost(options, signal)));
  return { store: owner, templates, skipped };
}

/** What slept on lost nodes, as snapshots. */
async function importLost(
  { bucket, store, random, lostNodes = [] }: ImportOptions,
  signal: AbortSignal,
): Promise<{ name: string; tags: string[] }[]> {
  const rescued: { name: string; tags: string[] }[] = [];
  for (const node of lostNodes) {
    const builds = (await store.cards.all()).flatMap((each) => each.builds);
    const named = new Map(builds.map((build) => [build.id, build]));
    for (const { manifest, snapshot } of await rescueBuilds({ bucket, random, named }, node, signal)) {
      if (!(await store.cards.insert(snapshot))) continue;
      await rememberChild(store, manifest);
      rescued.push({ name: snapshot.template.name, tags: ["default"] });
    }
  }
  return rescued;
}

async function readCard(bucket: Bucket, key: string, signal: AbortSignal): Promise<TemplateCard> {
  const card = parseCard(await readSmall(bucket, key, cardBytesMax, signal), key);
  if (cardKey(card.template.name) !== key)
    throw new Failure("corrupt", `${key} is a card of '${card.template.name}'`);
  return card;
}

/** What of a name is whole in the bucket; and the manifests of builds that were made of sandboxes. */
async function withoutLost(
  bucket: Bucket,
  { template, tags, builds }: TemplateCard,
  signal: AbortSignal,
): Promise<NamedTemplate & { readonly children: readonly Manifest[] }> {
  const manifests = new Map<string, Manifest>();
  const look = async (build: string) => {
    const known = manifests.get(build) ?? (await readManifest(bucket, build, signal));
    if (known !== undefined) manifests.set(build, known);
    return known;
  };
  const whole = new Set<string>();
  for (const { id } of builds) {
    const manifest = await look(id);
    if (manifest === undefined) continue;
    const ancestors = await Promise.all(manifest.ancestors.map((each) => look(each.build)));
    if (!ancestors.includes(undefined)) whole.add(id);
  }
  const led = builds.filter(({ id, diskBuild }) => whole.has(id) && whole.has(diskBuild));
  const there = new Set(led.map(({ id }) => id));
  const children = template.snapshotOf === undefined ? [] : led.flatMap(({ id }) => manifests.get(id) ?? []);
  return { template, tags: tags.filter(({ diskBuild }) => there.has(diskBuild)), builds: led, children };
}

/** So that it goes when its name does. */
async function rememberChild({ childBuilds }: Store, { build, ancestors, shape }: Manifest): Promise<void> {
  if ((await childBuilds.get(build)) !== undefined) return;
  const of = [...new Set(ancestors.map((each) => each.build))];
  await childBuilds.insert({ id: build, ancestors: of, ...(shape === undefined ? {} : { shape }) });
}
