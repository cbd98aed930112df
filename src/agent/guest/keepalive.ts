const header = "keepalive-ping-interval";
const secondsDefault = 90;
const secondsMax = 24 * 60 * 60;

/** After how long without anything else a client of a stream wants a sign of life. */
export function keepaliveMsOf(headers: Headers): number {
  const seconds = Number(headers.get(header) ?? Number.NaN);
  return 1000 * (Number.isInteger(seconds) && seconds > 0 ? Math.min(seconds, secondsMax) : secondsDefault);
}
