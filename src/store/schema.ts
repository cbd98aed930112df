/**
 * The tables, as the query builder knows them. Types that both SQLite and PostgreSQL have: text, whole numbers below
 * 2^53, and 0 or 1 for no and yes. JSON is text; nothing is asked inside it.
 */
export interface Tables {
  settings: SettingsTable;
  apiKeys: ApiKeysTable;
  templates: TemplatesTable;
  templateTags: TemplateTagsTable;
  builds: BuildsTable;
  sandboxes: SandboxesTable;
  sandboxMetadata: SandboxMetadataTable;
  childBuilds: ChildBuildsTable;
}

export interface SettingsTable {
  name: string;
  value: string;
}

export interface ApiKeysTable {
  /** Whose key it is, or what for; a new key of the same name replaces the old one. */
  name: string;
  /** SHA-256 of the key, hex. The key itself is never stored. */
  digest: string;
  createdAt: number;
}

export interface TemplatesTable {
  id: string;
  name: string;
  createdAt: number;
  updatedAt: number;
  /** The sandbox that it is a snapshot of; null for a template proper. */
  snapshotOf: string | null;
  /** Of a snapshot: 0 when its name was not chosen by anybody. */
  named: number | null;
}

export interface TemplateTagsTable {
  templateId: string;
  tag: string;
  /** The disk build that the tag points at. */
  diskBuild: string;
  createdAt: number;
}

export interface BuildsTable {
  id: string;
  templateId: string;
  /** The build whose disk this is the memory of; itself for a disk build. */
  diskBuild: string;
  /** Digest of everything it was made from. */
  recipe: string;
  /** JSON of a MachineShape; null for a build without memory. */
  shape: string | null;
  /** 1: its memory did not restore here, boot it from its disk. */
  coldBoot: number;
  vcpus: number;
  memoryBytes: number;
  diskBytes: number;
  createdAt: number;
}

export interface SandboxesTable {
  id: string;
  state: string;
  templateId: string;
  templateName: string;
  build: string;
  vcpus: number;
  memoryBytes: number;
  diskBytes: number;
  /** JSON of string to string. */
  metadata: string;
  envs: string;
  secure: number;
  allowInternet: number;
  /** JSON of IngressSettings; null for those that are public. */
  ingress: string | null;
  startedAt: number;
  endAt: number;
  directory: string;
  socketDirectory: string;
  uid: number | null;
  pid: number | null;
  processStart: string | null;
  /** Hex. */
  channelSecret: string | null;
  /** JSON of a Lifecycle; null in records of the first version. */
  lifecycle: string | null;
  timeoutMs: number | null;
  /** JSON of a PausedState; null unless it sleeps. */
  paused: string | null;
}

/** Builds that were made of sandboxes on this node. They go when nothing needs them any more. */
export interface ChildBuildsTable {
  id: string;
  /** JSON: the ids of all builds that it refers to. */
  ancestors: string;
  /** JSON of a MachineShape; null for a build without memory. */
  shape: string | null;
  createdAt: number;
}

/** The pairs of `sandboxes.metadata` once more, one a row, to be asked for. */
export interface SandboxMetadataTable {
  sandboxId: string;
  name: string;
  value: string;
}
