// One of the two clients of bench/fetch.ts, in a process of its own and with nothing else loaded, so that neither pays
// for the collection of the other's garbage:
//   fetch-client.ts ours|sdk URL
// For every message it fetches some stretches of a pack, and answers what that cost.
import { systemClock as clock } from "../src/base/clock.ts";
import { silentMeter as meter } from "../src/base/meter.ts";
import { systemRandom as random } from "../src/base/random.ts";
import { openFakeBucket, testKeys } from "../src/bucket/testing/open-fake-bucket.ts";
import { since } from "./medians.ts";

export const requestBytes = 4 * 2 ** 20;
export const packBytes = 64 * 2 ** 20;
export const requestsEach = 60;
export const atOnce = 4;

/** Milliseconds of processor time are those of one request. */
export interface Cost {
  readonly cpuMs: number;
  readonly userMs: number;
  readonly megabytesPerSecond: number;
}

type Fetch = (offset: number) => Promise<number>;

const [name, url = ""] = process.argv.slice(2);
if (process.send !== undefined) {
  const fetch = name === "ours" ? ours(url) : await sdk(url);
  process.on("message", () => {
    void measure(fetch).then((cost) => process.send?.(cost));
  });
}

async function measure(fetch: Fetch): Promise<Cost> {
  let left = requestsEach;
  const work = async () => {
    while (left > 0) {
      const offset = (left-- % (packBytes / requestBytes)) * requestBytes;
      if ((await fetch(offset)) !== requestBytes) throw new Error("not all of it came");
    }
  };
  const [cpu, started] = [process.cpuUsage(), performance.now()];
  await Promise.all(Array.from({ length: atOnce }, work));
  const { system, user } = process.cpuUsage(cpu);
  return {
    cpuMs: (system + user) / 1000 / requestsEach,
    userMs: user / 1000 / requestsEach,
    megabytesPerSecond: (requestsEach * requestBytes) / 1e3 / since(started),
  };
}

function ours(url: string): Fetch {
  const bucket = openFakeBucket({ speaks: "s3", url, clock, random, meter });
  const { signal } = new AbortController();
  return async (offset) => {
    let bytes = 0;
    for await (const piece of bucket.read("pack", { offset, length: requestBytes }, signal))
      bytes += piece.length;
    return bytes;
  };
}

/** As it comes, but for one thing: it computes no checksum that the server does not ask for. */
async function sdk(url: string): Promise<Fetch> {
  const { GetObjectCommand, S3Client } = await import("@aws-sdk/client-s3");
  const client = new S3Client({
    ...{ endpoint: url, forcePathStyle: true, region: "us-east-1", credentials: testKeys },
    responseChecksumValidation: "WHEN_REQUIRED",
  });
  return async (offset) => {
    const Range = `bytes=${offset}-${offset + requestBytes - 1}`;
    const { Body } = await client.send(new GetObjectCommand({ Bucket: "templates", Key: "pack", Range }));
    let bytes = 0;
    for await (const piece of Body as AsyncIterable<Uint8Array>) bytes += piece.length;
    return bytes;
  };
}
