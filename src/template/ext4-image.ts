import { readdir, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { runCommand } from "./run-command.ts";

export interface Ext4Options {
  /** The directory whose content becomes the file system's. */
  readonly source: string;
  readonly image: string;
  readonly bytes: number;
  /** In mebibytes; 0 for none, as fits a disk that nobody writes to. */
  readonly journalMib: number;
  /** The file system's own name; a fixed one makes images comparable. */
  readonly uuid: string;
  /** Whose files these are is kept, also where they are those of lent users. */
  readonly asRoot?: boolean;
}

/** All times in the images, in seconds since 1970: 2024-01-01. Any would do that does not change. */
export const imageTime = 1_704_067_200;

/**
 * Makes an ext4 file system from a directory, without mounting anything and so without root. The image stays sparse:
 * tables that are all zeros are holes. Nothing is left for the guest's kernel to initialise in the background, which
 * would write to the disk while a snapshot is taken.
 */
export async function makeExt4(options: Ext4Options, signal: AbortSignal): Promise<void> {
  const { source, image, bytes, journalMib, uuid, asRoot = false } = options;
  await writeFile(image, "");
  await truncate(image, bytes);
  const journal = journalMib === 0 ? ["-O", "^has_journal,^resize_inode"] : ["-J", `size=${journalMib}`];
  const extended = `lazy_itable_init=0,lazy_journal_init=0,nodiscard,root_owner=0:0,hash_seed=${uuid}`;
  const args = ["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", ...journal, "-U", uuid, "-E", extended];
  await runCommand("mke2fs", [...args, "-d", source, image], { env: fixedTime, asRoot }, signal);
}

/**
 * Gives everything in the image the same times and to root, so that the same content gives the same bytes whoever
 * makes it: mke2fs takes the time of an inode's last change from the source, where it cannot be set.
 * `source` is what the image was made from.
 */
export async function normaliseInodes(image: string, source: string, signal: AbortSignal): Promise<void> {
  const entries = await readdir(source, { recursive: true, withFileTypes: true });
  const paths = entries.map((entry) => `/${path.relative(source, path.join(entry.parentPath, entry.name))}`);
  const values = ["atime", "mtime", "ctime", "crtime"].map((field) => `${field} @${imageTime}`);
  const commands = ["/", "/lost+found", ...paths.sort()].flatMap((name) =>
    [...values, "uid 0", "gid 0"].map((value) => `set_inode_field "${name}" ${value}`),
  );
  const input = `${commands.join("\n")}\n`;
  await runCommand("debugfs", ["-w", "-f", "-", image], { env: fixedTime, input }, signal);
}

/** What the two names that e2fsprogs has used mean: the time of day, for everything it writes itself. */
const fixedTime = { SOURCE_DATE_EPOCH: String(imageTime), E2FSPROGS_FAKE_TIME: String(imageTime) };
