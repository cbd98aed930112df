/**
 * What version 1 of each format looks like in a bucket: a child that changed a part of its parent, of which one
 * chunk of storage is zeros and one is stored. Never edited: a new version gets a file of its own.
 */
export const sampleV1 = {
  build: "0b5e6f1c-4d1a-4f0e-9a53-2f6d1f3b7a01",
  parent: "7c9a2b10-88aa-4c3d-b1e2-5d4c3b2a1908",
  index: [
    "4c4152444552495801000000001200000040", // magic, version, rootfs, 18 bytes of numbers, 64 of names
    "820142020401403f02020100010300400030", // sizes, runs, chunks
    "0b5e6f1c4d1a4f0e9a532f6d1f3b7a01", // the build itself
    "7c9a2b1088aa4c3db1e25d4c3b2a1908", // its parent
    "227250431ebc26217424cb0cd2bce75a844a3aa9bbe013b8fa08efa5ee694378", // the digest of the second chunk
    "ac56240b", // the checksum
  ].join(""),
  pack: "28b52ffd00587d0000386c6172646572200100f6afbe1801",
  /** The plain text that fills the stored chunk. */
  filling: "larder ",
  manifest: `{
 "formatVersion": 1,
 "build": "0b5e6f1c-4d1a-4f0e-9a53-2f6d1f3b7a01",
 "createdAt": "2026-11-25T08:00:00.000Z",
 "ancestors": [
  {
   "build": "7c9a2b10-88aa-4c3d-b1e2-5d4c3b2a1908",
   "artifact": "rootfs",
   "index": {
    "bytes": 100,
    "digest": "1111111111111111111111111111111111111111111111111111111111111111"
   }
  }
 ],
 "rootfs": {
  "bytes": 532480,
  "storageBytes": 270336,
  "packBytes": 24,
  "index": {
   "bytes": 104,
   "digest": "ad518c897bfeedce152c3d63f117141410657a94d02e5acf5a24d702339db367"
  }
 },
 "metafile": {
  "bytes": 2,
  "digest": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
 },
 "shape": {
  "vmm": "qemu",
  "vmmVersion": "8.2.2",
  "machineType": "pc-q35-8.2",
  "accelerator": "tcg",
  "cpuModel": "max",
  "vcpus": 1,
  "memoryBytes": 536870912,
  "tscKhz": 2400000
 },
 "inputs": [
  {
   "name": "agent-disk",
   "digest": "2222222222222222222222222222222222222222222222222222222222222222",
   "bytes": 4096
  }
 ],
 "sha256": "2b3500233a062e6574230f4a0d2164371a29f75549a67ce439948a2b755e22cc"
}
`,
} as const;
