import { type DestinationStream, pino } from "pino";
import type { Logger } from "../base/logger.ts";

/** Names of fields that hold secrets, wherever in an event they lie (down to the third level). */
const secretFields = [
  "accessToken",
  "apiKey",
  "authorization",
  "envdAccessToken",
  "envs",
  "envVars",
  "key",
  "nextSecret",
  "secret",
  "token",
  '["x-access-token"]',
  '["x-api-key"]',
];

/** JSON lines, by default on standard error. What must not be read is blanked out, errors keep their stack. */
export function openLog(
  level: "debug" | "info" | "warn" | "error",
  destination: DestinationStream = pino.destination({ dest: 2, sync: true }),
): Logger {
  const at = (prefix: string) =>
    secretFields.map((field) =>
      field.startsWith("[") ? `${prefix}${field}` : `${prefix}.${field}`.replace(/^\./, ""),
    );
  const options = {
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: [...at(""), ...at("*"), ...at("*.*")], censor: "(secret)" },
    serializers: { error: pino.stdSerializers.errWithCause, cause: errorOrValue },
  };
  return pino(options, destination);
}

function errorOrValue(value: unknown): unknown {
  return value instanceof Error ? pino.stdSerializers.errWithCause(value) : value;
}
