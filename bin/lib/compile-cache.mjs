import path from "node:path";

/**
 * The environment with which Node keeps what it has compiled: a command starts in a third of the time then. Where it
 * may not write, Node does without.
 */
export function withCompileCache(home, environment) {
  return { NODE_COMPILE_CACHE: path.join(home, "node_modules", ".cache", "compiled"), ...environment };
}
