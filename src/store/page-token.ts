import { Failure } from "../base/failure.ts";

/** Where a page ended. The next one begins behind it, whatever has come and gone meanwhile. */
export interface PagePlace {
  readonly order: "asc" | "desc";
  readonly startedAt: number;
  readonly id: string;
}

/** Opaque to clients, but no secret: it says no more than the page they have. */
export function encodePageToken({ order, startedAt, id }: PagePlace): string {
  return Buffer.from(`1 ${order} ${startedAt} ${id}`).toString("base64url");
}

/** Throws `invalid` when this store made no such token. */
export function decodePageToken(token: string): PagePlace {
  const text = Buffer.from(token, "base64url").toString();
  const [, order, startedAt, id] = /^1 (asc|desc) (\d{1,15}) ([a-z0-9]{1,63})$/.exec(text) ?? [];
  if ((order !== "asc" && order !== "desc") || startedAt === undefined || id === undefined)
    throw new Failure("invalid", "nextToken is none that this server gave");
  const place: PagePlace = { order, startedAt: Number(startedAt), id };
  if (encodePageToken(place) !== token)
    throw new Failure("invalid", "nextToken is none that this server gave");
  return place;
}
