/**
 * What version 1 of a template's card and of a node's needs look like in a bucket. Never edited: a new version gets a
 * file of its own.
 */
export const registerSampleV1 = {
  build: "0b5e6f1c-4d1a-4f0e-9a53-2f6d1f3b7a01",
  node: "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f0",
  card: `{
 "template": {
  "id": "abcdefghij0123456789",
  "name": "base",
  "createdAt": 1796083200000,
  "updatedAt": 1796083200001
 },
 "tags": [
  {
   "tag": "default",
   "diskBuild": "0b5e6f1c-4d1a-4f0e-9a53-2f6d1f3b7a01",
   "createdAt": 1796083200001
  }
 ],
 "builds": [
  {
   "id": "0b5e6f1c-4d1a-4f0e-9a53-2f6d1f3b7a01",
   "diskBuild": "0b5e6f1c-4d1a-4f0e-9a53-2f6d1f3b7a01",
   "recipe": "r",
   "coldBoot": false,
   "vcpus": 1,
   "memoryBytes": 536870912,
   "diskBytes": 10737418240,
   "createdAt": 1796083200001
  }
 ],
 "formatVersion": 1,
 "node": "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f0",
 "sha256": "c9827196457997eb18925e62f85e85c1f4da1c114a91de694a1c1099744c788b"
}
`,
  needs: `{
 "formatVersion": 1,
 "node": "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f0",
 "writtenAt": 1796083200002,
 "builds": [
  "0b5e6f1c-4d1a-4f0e-9a53-2f6d1f3b7a01"
 ],
 "sha256": "4f526948199dc059f85eebf1170e4fcc50d0fe1a6b7f58d2d2948b855387a926"
}
`,
};
