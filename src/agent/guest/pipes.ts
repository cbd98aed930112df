import { errnoError, type Foreign, type Koffi } from "./foreign.ts";

export interface Pipe {
  readonly readEnd: number;
  readonly writeEnd: number;
}

const closeOnExec = 0o2000000;

/** Makes pipes. Node's own stdio are sockets, which a program cannot open again as /dev/stdin or /dev/stdout. */
export function pipeMaker(koffi: Koffi): () => Pipe {
  const pipe2 = koffi.load(null).func("int pipe2(void *, int)") as unknown as Foreign<[Int32Array, number]>;
  return () => {
    const ends = new Int32Array(2);
    if (pipe2(ends, closeOnExec) !== 0) throw errnoError(koffi, "pipe2");
    return { readEnd: ends[0] ?? -1, writeEnd: ends[1] ?? -1 };
  };
}
