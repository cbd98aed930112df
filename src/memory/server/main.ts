// Serves one memory file to machines, one page at a time. Started by `MemoryServer`, which it outlives.
import { text } from "node:stream/consumers";
import { serveMemory, type ServeOrder } from "./serve-memory.ts";

const order = JSON.parse(await text(process.stdin)) as ServeOrder;
await serveMemory(order, () => process.stdout.write("ready\n"));
