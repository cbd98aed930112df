// Preloaded into a client: stands for a wildcard DNS record that leads `*.sbx.test` to this machine.
const dns = require("node:dns");
const { lookup } = dns;

dns.lookup = (name, options, callback) => {
  const [settings, done] = typeof options === "function" ? [{}, options] : [options, callback];
  if (!/(^|\.)sbx\.test$/.test(name)) return lookup(name, options, callback);
  const address = { address: "127.0.0.1", family: 4 };
  if (settings.all) process.nextTick(done, null, [address]);
  else process.nextTick(done, null, address.address, address.family);
};
