/**
 * The numbers of the NBD protocol, by the names its specification gives them
 * (doc/proto.md of the NetworkBlockDevice/nbd project). All integers on the wire are big-endian.
 */
export const magic = {
  /** "NBDMAGIC" */
  greeting: 0x4e42444d41474943n,
  /** "IHAVEOPT" */
  option: 0x49484156454f5054n,
  optionReply: 0x0003e889045565a9n,
  request: 0x25609513,
  simpleReply: 0x67446698,
  structuredReply: 0x668e33ef,
} as const;

export const handshakeFlag = { fixedNewstyle: 1, noZeroes: 2 } as const;

export const option = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

export const optionReply = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  unsupported: 0x80000001,
  policy: 0x80000002,
  invalid: 0x80000003,
  unknownExport: 0x80000006,
} as const;

export const info = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

export const transmissionFlag = { hasFlags: 1, readOnly: 2, sendDf: 128, canMultiConn: 256 } as const;

export const command = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

export const commandFlag = { dontFragment: 4, requestOne: 8 } as const;

export const chunkFlag = { done: 1 } as const;

export const chunkType = { none: 0, offsetData: 1, offsetHole: 2, blockStatus: 5, error: 0x8001 } as const;

/** Of the context `base:allocation`. */
export const extentFlag = { hole: 1, zero: 2 } as const;

export const allocationContext = { id: 1, name: "base:allocation" } as const;

/** Error numbers that may travel; the same on every system. */
export const errno = { EPERM: 1, EIO: 5, ENOMEM: 12, EINVAL: 22, EOVERFLOW: 75, ESHUTDOWN: 108 } as const;

export type Errno = (typeof errno)[keyof typeof errno];

/** Sizes of the messages' fixed parts, in bytes. */
export const wireBytes = {
  clientFlags: 4,
  optionHeader: 16,
  request: 28,
  simpleHeader: 16,
  chunkHeader: 20,
} as const;

/** Longest string that the specification allows, in bytes. */
export const stringBytesMax = 4096;
