/**
 * How old what nothing refers to must be at least before a collection removes it: until then a publish under way, here
 * or on another node, may still need it.
 */
export const graceMsMin = 60 * 60_000;
export const graceMsDefault = 24 * 60 * 60_000;

/**
 * How old an object may be that a publish relies on instead of putting it again. Twice that is less than any grace, so
 * that no collection that sees it after that takes it away before the manifest says that it is needed.
 */
export const freshMsMax = 25 * 60_000;
