import { createSessionServer, serveSessions } from "./guest/sessions.ts";
import { createServer, type Socket } from "node:net";
import { AgentChannel } from "./channel.ts";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { silentLogger } from "../base/logger.ts";
import { text } from "node:stream/consumers";
import { spawn } from "node:child_process";
const path = process.argv[3] ?? "/tmp/agentx/zy.sock"+process.pid;
const secret = Buffer.alloc(16,7);
if (process.argv[2]==="server") {
const server = createSessionServer();
const variant = process.argv[4];
server.on("request", async (req, res) => {
  if (variant==="tick") await new Promise(r=>setImmediate(r));
  if (variant==="micro") for (let i=0;i<20;i++) await 0;
  console.error("Q"); let n=0; for await (const c of req) n+=c.length;
  console.error("E"); res.writeHead(200, variant==="date"?{}:{"content-length":2}); 
  if (variant==="split") { res.write("xy"); for (let i=0;i<20;i++) await 0; res.end(); } else res.end("xy"); });
let peer: Socket; let lis: any;
serveSessions({ listen: (l)=>{lis=l;}, write: (b,d)=>{ console.error("W", b.toString("hex")); peer.write(b,d);} }, secret, server);
createServer((p)=>{peer=p; p.on("data", b=>{console.error("R", b.toString("hex")); lis(b)}); p.on("close",()=>process.exit(0));}).listen(path, ()=>console.log("l"));
} else {
const c = spawn(process.execPath, [import.meta.filename, "server", path, process.argv[2]!], {stdio:["ignore","pipe","inherit"], env:{...process.env, NODE_DEBUG_NATIVE:"HTTP2SESSION,HTTP2STREAM,http2"}});
await new Promise(r=>c.stdout.once("data",r));
await using ch = await AgentChannel.connect({path, secret, nextSecret: secret, clock: systemClock, random: systemRandom, logger: silentLogger}, AbortSignal.timeout(5000));
let n=0,o=-1; setInterval(()=>{ if (n===o) {console.log("STUCK", process.argv[2], n); process.exit(1)}; o=n;},1500);
for (let i=0;i<5000;i++) {
const r = await ch.request({method:"POST", path:"/x", headers:{}, body: Buffer.alloc(0)}, new AbortController().signal);
await text(r.body); n++;
}
console.log("ok", process.argv[2], n); process.exit(0);
}
