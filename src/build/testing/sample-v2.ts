/** What version 2 of a manifest looks like. Never edited: a new version gets a file of its own. */
export const sampleV2 = {
  build: "0b5e6f1c-4d1a-4f0e-9a53-2f6d1f3b7a01",
  manifest: `{
 "formatVersion": 2,
 "build": "0b5e6f1c-4d1a-4f0e-9a53-2f6d1f3b7a01",
 "createdAt": "2026-12-01T08:00:00.000Z",
 "ancestors": [],
 "rootfs": {
  "bytes": 1249902592,
  "storageBytes": 1249902592,
  "packBytes": 24,
  "index": {
   "bytes": 104,
   "digest": "ad518c897bfeedce152c3d63f117141410657a94d02e5acf5a24d702339db367"
  }
 },
 "agentDisk": {
  "offset": 1073741824,
  "bytes": 176160768
 },
 "memfile": {
  "bytes": 536870912,
  "storageBytes": 536870912,
  "packBytes": 24,
  "index": {
   "bytes": 104,
   "digest": "ad518c897bfeedce152c3d63f117141410657a94d02e5acf5a24d702339db367"
  }
 },
 "firstpages": {
  "bytes": 12288,
  "storageBytes": 12288,
  "packBytes": 120,
  "index": {
   "bytes": 100,
   "digest": "ad518c897bfeedce152c3d63f117141410657a94d02e5acf5a24d702339db367"
  }
 },
 "metafile": {
  "bytes": 2,
  "digest": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
 },
 "inputs": [],
 "sha256": "c1b074df8d9cb5e200ed0f0787ccce5f8ed88397dc949199d69458c84ca638d8"
}
`,
} as const;
