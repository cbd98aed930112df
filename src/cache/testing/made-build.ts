import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { blockBytes } from "../../build/artifact.ts";
import type { ArtifactIndex } from "../../build/artifact-index.ts";
import { dataPath, type MadeBuild, makeBuild } from "../../build/make-build.ts";
import type { Manifest } from "../../build/manifest.ts";
import type { Change } from "../../build/merge-index.ts";
import type { ChildImage } from "../../build/pack-layer.ts";

interface Parent {
  readonly manifest: Manifest;
  readonly index: ArtifactIndex;
}

/** What a child changes: block number → the byte it is filled with; 0 are zeros. */
export type Blocks = Readonly<Record<number, number>>;

/** Makes a child on this node, in a directory of its own: its disk and memory are the parents' but for some blocks. */
export async function makeChild(
  parents: { readonly rootfs: Parent; readonly memfile?: Parent },
  changed: { readonly rootfs: Blocks; readonly memfile?: Blocks | Buffer },
  build: string = randomUUID(),
): Promise<MadeBuild> {
  const directory = await mkdtemp(path.join(tmpdir(), "larder-made-"));
  await mkdir(directory, { recursive: true });
  const rootfs = await childImage(dataPath(directory, "rootfs"), parents.rootfs, changed.rootfs);
  const snapfile = path.join(directory, "snapfile");
  const memory = async () => {
    if (changed.memfile === undefined) return {};
    const target = dataPath(directory, "memfile");
    if (!Buffer.isBuffer(changed.memfile)) {
      const parent = parents.memfile ?? parents.rootfs;
      return { memfile: await childImage(target, parent, changed.memfile) };
    }
    await writeFile(target, changed.memfile);
    return { memfile: target };
  };
  await writeFile(snapfile, "device state");
  const images = { rootfs, ...(await memory()) };
  const rest = { metafile: Buffer.from("{}"), inputs: parents.rootfs.manifest.inputs, snapfile };
  const createdAt = new Date(0).toISOString();
  return await makeBuild({ build, createdAt, directory, images, ...rest }, new AbortController().signal);
}

async function childImage(target: string, parent: Parent, blocks: Blocks): Promise<ChildImage> {
  const stored: Buffer[] = [];
  const changes: Change[] = Object.entries(blocks).map(([block, byte]) => {
    if (byte !== 0) stored.push(Buffer.alloc(blockBytes, byte));
    return { offset: Number(block) * blockBytes, length: blockBytes, zero: byte === 0 };
  });
  await writeFile(target, Buffer.concat(stored));
  return { path: target, changes, parent };
}

/** The bytes of a device after a child's changes. */
export function withBlocks(device: Buffer, blocks: Blocks): Buffer {
  const changed = Buffer.from(device);
  for (const [block, byte] of Object.entries(blocks))
    changed.fill(byte, Number(block) * blockBytes, (Number(block) + 1) * blockBytes);
  return changed;
}
