import type { Mutant } from "./mutant.ts";

const children = "src/sandbox/child-builds.test.ts";
const garbage = "src/template/collect-garbage.test.ts";
const made = "src/template/make-base.test.ts";
const published = "src/build/publish-build.test.ts";

/** C26 and C27: how builds come to the bucket; and what is removed from there. */
export const publishingMutants: readonly Mutant[] = [
  {
    promise: "C26",
    change: "a manifest is put over another",
    file: "src/build/publish-build.ts",
    find: 'encodeManifest(manifest), { ifNoneMatch: "*" }',
    replace: "encodeManifest(manifest), {}",
    test: published,
    title: "C26: is published by one of two",
  },
  {
    promise: "C26",
    change: "a child does not wait for its parent",
    file: "src/build/put-made-build.ts",
    find: "if (await isPublished(bucket, ancestor, signal)) continue;",
    replace: "continue;",
    test: children,
    title: "C26: are published in the background",
  },
  {
    promise: "C27",
    change: "an upload that broke off begins anew",
    file: "src/build/put-once.ts",
    find: "if (there?.bytes === bytes &&",
    replace: "if (there?.bytes === -1 &&",
    test: made,
    title: "C27: a publish that broke off",
  },
  {
    promise: "C27",
    change: "a build that could not be published is thrown away",
    file: "src/template/make-base.ts",
    find: "    await putTemplate(bucket, made, clock, signal);",
    replace:
      "    await putTemplate(bucket, made, clock, signal).finally(() => rm(made.directory, { recursive: true }));",
    test: made,
    title: "C27: a publish that broke off",
  },
  {
    promise: "C27",
    change: "what a former run has left unpublished is thrown away",
    file: "src/sandbox/publisher.ts",
    find: "manifest === undefined || !(await isWanted(build))",
    replace: "manifest !== null || !(await isWanted(build))",
    test: children,
    title: "C27: that could not be published",
  },
  {
    promise: "C27",
    change: "parts of an upload that a former run has left are not looked at",
    file: "src/bucket/remote/multipart.ts",
    find: 'return stored.etag === `"${await slice.digest("md5", signal)}"` ? stored.etag : undefined;',
    replace: "return stored.etag;",
    test: "src/bucket/remote/resumed-upload.test.ts",
    title: "C27: puts again",
  },
  {
    promise: "C27",
    change: "an upload that broke off is given up when the process goes",
    file: "src/bucket/remote/multipart.ts",
    find: "if (this.#options.resume?.leaving.aborted !== true) await",
    replace: "await",
    test: "src/bucket/remote/resumed-upload.test.ts",
    title: "C27: goes on behind",
  },
  {
    promise: "C26",
    change: "a publish relies on an input that a collection may be about to remove",
    file: "src/build/put-once.ts",
    find: "clock.now() - there.modifiedAt < freshMsMax",
    replace: "clock.now() > 0",
    test: "src/build/put-once.test.ts",
    title: "C26: is put again",
  },
  {
    promise: "C26",
    change: "a collection forgets what a build refers to",
    file: "src/build/plan-collection.ts",
    find: "kept.add(ancestor.build);",
    replace: "void ancestor;",
    test: garbage,
    title: "keeps what a needed build refers to",
  },
  {
    promise: "C26",
    change: "a collection heeds its own node alone",
    file: "src/template/collect-garbage.ts",
    find: "...told, ...named]",
    replace: "...named]",
    test: garbage,
    title: "leaves what another node needs",
  },
  {
    promise: "C26",
    change: "a collection does not ask whose bucket it is",
    file: "src/template/collect-garbage.ts",
    find: "  await checkOwner(bucket, options.store, signal);",
    replace: "",
    test: garbage,
    title: "touches nothing in the bucket of another store",
  },
  {
    promise: "C26",
    change: "a collection looks once",
    file: "src/template/collect-garbage.ts",
    find: "|| (await needed()).has(build)",
    replace: "",
    test: garbage,
    title: "spares, with its parents",
  },
];
