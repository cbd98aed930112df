// Answers every HTTP request on port 80 with its own name and, if it is told an address to do so at, every question
// for a name with another one. It runs in a network namespace; see small-world.ts. ARGUMENTS: NAME [AT ADDRESS]
import { createSocket } from "node:dgram";
import { createServer } from "node:http";

const [name = "", at = "127.0.0.1", answer = ""] = process.argv.slice(2);

createServer((_request, reply) => reply.end(`${name}\n`)).listen(80, "::");

const dns = createSocket("udp4");
dns.on("message", (question, { address, port }) => {
  const type = question.readUInt16BE(question.indexOf(0, 12) + 1);
  const asked = question.subarray(12, question.indexOf(0, 12) + 5);
  const isForAddress = type === 1;
  // Header, question, and a pointer to the asked name with type A, class IN, 60 s, four bytes; RFC 1035.
  const header = Buffer.from([0, 0, 0x81, 0x80, 0, 1, 0, isForAddress ? 1 : 0, 0, 0, 0, 0]);
  question.copy(header, 0, 0, 2);
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...answer.split(".").map(Number)]);
  dns.send(Buffer.concat([header, asked, ...(isForAddress ? [record] : [])]), port, address);
});
dns.bind(53, at, () => process.stdout.write("up\n"));
