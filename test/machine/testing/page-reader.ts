// Maps a file and reads from its pages, as a virtual machine does: `page-reader.ts FILE OFFSET+BYTES…`. Prints the
// SHA-256 of each stretch, one a line, as soon as it has it.
import { hash } from "node:crypto";
import { openSync, writeSync } from "node:fs";
import koffi from "koffi";

const [file = "", ...stretches] = process.argv.slice(2);
const libc = koffi.load("libc.so.6");
const mmap = libc.func(
  "void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset)",
);
/** PROT_READ and MAP_PRIVATE of Linux. */
const [readable, private_] = [1, 2];

const wishes = stretches.map((each) => each.split("+").map(Number));
const end = Math.max(...wishes.map(([offset = 0, bytes = 0]) => offset + bytes));
const address: unknown = mmap(null, end, readable, private_, openSync(file, "r"), 0);
const memory = new Uint8Array(koffi.view(address, end));
for (const [offset = 0, bytes = 0] of wishes)
  writeSync(1, `${hash("sha256", memory.subarray(offset, offset + bytes))}\n`);
