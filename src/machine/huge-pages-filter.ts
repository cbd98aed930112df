/** Instructions of classic BPF and what they compare, from Linux's headers (bpf_common.h, seccomp.h, audit.h). */
const load = 0x20;
const jumpIfEqual = 0x15;
const give = 0x06;
const offsetOf = { number: 0, architecture: 4, thirdArgument: 32 } as const;
const x8664 = 0xc000_003e;
const madvise = 28;
const madvHugepage = 14;
const answer = { kill: 0x8000_0000, error: 0x0005_0000, allow: 0x7fff_0000 } as const;
const invalidArgument = 22;

/**
 * A seccomp filter that refuses to have memory in huge pages, and nothing else. The VMM asks for them, and does
 * without; with them the kernel would read two megabytes of the memory's file around each page that is needed.
 */
export function hugePagesFilter(): Buffer {
  return Buffer.concat([
    instruction(load, offsetOf.architecture),
    instruction(jumpIfEqual, x8664, 1, 0),
    instruction(give, answer.kill),
    instruction(load, offsetOf.number),
    instruction(jumpIfEqual, madvise, 0, 3),
    instruction(load, offsetOf.thirdArgument),
    instruction(jumpIfEqual, madvHugepage, 0, 1),
    instruction(give, answer.error | invalidArgument),
    instruction(give, answer.allow),
  ]);
}

/** `struct sock_filter`: how far to jump when it is true, and when not. */
function instruction(code: number, operand: number, whenTrue = 0, whenFalse = 0): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(whenTrue, 2);
  bytes.writeUInt8(whenFalse, 3);
  bytes.writeUInt32LE(operand, 4);
  return bytes;
}
