import { LocalAgent } from "./testing/local-agent.ts";
import { text } from "node:stream/consumers";
import { Readable } from "node:stream";
await using a = await LocalAgent.start();
await using ch = await a.connect(AbortSignal.timeout(5000));
const never = new AbortController().signal;
let n=0,o=-1; setInterval(()=>{ if (n===o) {console.log("STUCK", process.argv[2], n); process.exit(1)}; o=n;},1500);
const body = () => ({ empty: Readable.from([Buffer.alloc(0)], {objectMode:false}), buf: Buffer.from("{}"), none: undefined, ebuf: Buffer.alloc(0), stream: Readable.from([Buffer.from("{}")],{objectMode:false})})[process.argv[2]!];
for (let i=0;i<3000;i++) {
const r = await ch.request({method:"POST", path:"/process.Process/List", headers:{"content-type":process.argv[2]?.startsWith("e")?"application/proto":"application/json"}, body: body()}, never);
await text(r.body); n++;
}
console.log("ok", process.argv[2], n);
process.exit(0);
