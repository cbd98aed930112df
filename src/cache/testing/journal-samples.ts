import type { JournalRecord } from "../journal-record.ts";

const build = "0b5e6f1c-0000-4000-8000-000000000001";
const other = "0b5e6f1c-0000-4000-8000-000000000002";
const digest = "a".repeat(64);
const unneeded = "b".repeat(64);

/** A journal of every version as it was written by the program that had it, and what it amounts to. Never changed. */
export const journalSamples: readonly { version: number; text: string; means: readonly JournalRecord[] }[] = [
  {
    version: 1,
    text: `96c03b32 {"type":"blob","digest":"${digest}","bytes":20000}
b555142a {"type":"build","build":"${build}","manifestDigest":"${digest}"}
982356f7 {"type":"build","build":"${other}","manifestDigest":"${digest}"}
0edcc9af {"type":"open"}
0bb993b1 {"type":"chunks","build":"${build}","artifact":"rootfs","ranges":[[0,5]]}
13bcb039 {"type":"dropped","build":"${build}","artifact":"rootfs","chunk":3}
e7cdf4b5 {"type":"chunks","build":"${build}","artifact":"memfile","ranges":[[0,9]]}
670f0314 {"type":"sealed","build":"${build}"}
22b564e6 {"type":"retired","build":"${build}"}
2dc9430c {"type":"chunks","build":"${build}","artifact":"memfile","ranges":[[7,2]]}
670f0314 {"type":"sealed","build":"${build}"}
6f0b7531 {"type":"used","build":"${build}","at":1767225600000}
5b9d4d81 {"type":"evicted","build":"${other}"}
b7390785 {"type":"blob","digest":"${unneeded}","bytes":1}
bed61867 {"type":"blobGone","digest":"${unneeded}"}
11d4a319 {"type":"clean","suspect":["${build}"]}
`,
    means: [
      { type: "format", version: 2 },
      { type: "blob", digest, bytes: 20000 },
      { type: "build", build, manifestDigest: digest },
      {
        type: "chunks",
        build,
        artifact: "rootfs",
        ranges: [
          [0, 3],
          [4, 1],
        ],
      },
      { type: "chunks", build, artifact: "memfile", ranges: [[7, 2]] },
      { type: "sealed", build },
      { type: "used", build, at: 1767225600000 },
      { type: "clean", suspect: [build] },
    ],
  },
  {
    version: 2,
    text: `10a2adb5 {"type":"format","version":2}
0edcc9af {"type":"open"}
b555142a {"type":"build","build":"${build}","manifestDigest":"${digest}"}
1b297e7b {"type":"leased","build":"${build}"}
416f2c09 {"type":"chunks","build":"${build}","artifact":"rootfs","ranges":[[0,9]]}
170d47f5 {"type":"dropped","build":"${build}","artifact":"rootfs","ranges":[[2,3],[5,4]]}
6f0b7531 {"type":"used","build":"${build}","at":1767225600000}
3a745c5a {"type":"pinned","build":"${build}"}
68ff7500 {"type":"unpinned","build":"${build}"}
3a745c5a {"type":"pinned","build":"${build}"}
1b297e7b {"type":"leased","build":"${build}"}
0badc0de {"type":"used"`,
    means: [
      { type: "format", version: 2 },
      { type: "build", build, manifestDigest: digest },
      { type: "chunks", build, artifact: "rootfs", ranges: [[0, 2]] },
      { type: "used", build, at: 1767225600000 },
      { type: "leased", build },
      { type: "pinned", build },
      { type: "open" },
    ],
  },
];
