/**
 * Settings of the tracker, read from the environment.
 *
 * One table holds the name, the default, the meaning and the check of every
 * setting; `docs/reference` is generated from it. Names and meaning of the
 * selection policies are FastDFS's.
 *
 * @module
 */

import { z } from "zod";
import { GroupName } from "../group.ts";
import { CAPABILITY_LIFE_MS_MAX } from "../limits.ts";
import {
  type HostPort,
  parseHostPort,
  parseReserve,
  type Reserve,
} from "./units.ts";

const Reserved = z.string().transform((text, context): Reserve => {
  const reserve = parseReserve(text);
  if (reserve !== undefined) return reserve;
  context.addIssue("must be a size such as 1GB or 1024MB, or a part: 20%");
  return z.NEVER;
});

const Listen = z.string().transform((text, context): HostPort => {
  const listen = parseHostPort(text);
  if (listen !== undefined) return listen;
  context.addIssue("must be HOST:PORT, such as 127.0.0.1:8080");
  return z.NEVER;
});

const Milliseconds = (min: number, max: number) =>
  z.string().regex(/^\d{1,12}$/, "must be a whole number of milliseconds")
    .transform(Number)
    .pipe(z.int().min(min).max(max));

/** One setting: its variable, its default and what it means. */
export interface Setting<Schema extends z.ZodType = z.ZodType> {
  /** Environment variable. */
  readonly env: string;
  /** Text that counts when the variable is missing; `undefined` is none. */
  readonly fallback: string | undefined;
  /** What it means, for people. */
  readonly meaning: string;
  /** From text to value. */
  readonly schema: Schema;
}

function setting<Schema extends z.ZodType>(
  env: string,
  fallback: string | undefined,
  meaning: string,
  schema: Schema,
): Setting<Schema> {
  return { env, fallback, meaning, schema };
}

/** Every setting of the tracker. */
export const TRACKER_SETTINGS = {
  listen: setting(
    "KEDGE_LISTEN",
    "127.0.0.1:8080",
    "Where `functions/serve.ts` listens; a platform listens by itself",
    Listen,
  ),
  tlsCert: setting(
    "KEDGE_TLS_CERT",
    undefined,
    "File with the certificate chain in PEM: `functions/serve.ts` speaks HTTPS",
    z.string().min(1).optional(),
  ),
  tlsKey: setting(
    "KEDGE_TLS_KEY",
    undefined,
    "File with the private key of the certificate, in PEM",
    z.string().min(1).optional(),
  ),
  kv: setting(
    "KEDGE_KV",
    undefined,
    "Shared KV store: a file, `:memory:`, or the URL of a remote Deno KV. Missing: the platform's own (Deno Deploy)",
    z.string().min(1).optional(),
  ),
  adminKey: setting(
    "KEDGE_ADMIN_KEY",
    undefined,
    "Key with the role `operator`, at least 32 characters. Better in a file",
    z.string().min(32, "must have at least 32 characters").max(512).optional(),
  ),
  adminKeyFile: setting(
    "KEDGE_ADMIN_KEY_FILE",
    undefined,
    "File that holds the admin key; readable by the tracker alone",
    z.string().min(1).optional(),
  ),
  access: setting(
    "KEDGE_ACCESS",
    "key",
    "`key`: every caller needs a key. `open`: callers on this machine need none",
    z.enum(["key", "open"]),
  ),
  storeLookup: setting(
    "KEDGE_STORE_LOOKUP",
    "load_balance",
    "Which group takes an upload: `round_robin`, `specified_group`, or `load_balance` (most free space)",
    z.enum(["round_robin", "specified_group", "load_balance"]),
  ),
  storeGroup: setting(
    "KEDGE_STORE_GROUP",
    undefined,
    "The group for `specified_group`",
    GroupName.optional(),
  ),
  storeServer: setting(
    "KEDGE_STORE_SERVER",
    "round_robin",
    "Which node of the group: `round_robin`, `first_by_ip`, or `first_by_priority` (lowest upload priority)",
    z.enum(["round_robin", "first_by_ip", "first_by_priority"]),
  ),
  storePath: setting(
    "KEDGE_STORE_PATH",
    "round_robin",
    "Which store path of the node: `round_robin`, or `load_balance` (most free space)",
    z.enum(["round_robin", "load_balance"]),
  ),
  downloadServer: setting(
    "KEDGE_DOWNLOAD_SERVER",
    "round_robin",
    "Which replica answers a download: `round_robin`, or `source_first`",
    z.enum(["round_robin", "source_first"]),
  ),
  reservedSpace: setting(
    "KEDGE_RESERVED_STORAGE_SPACE",
    "1GB",
    "What stays free on every store path: bytes (`1GB`, `1024MB`) or a part (`20%`)",
    Reserved,
  ),
  heartbeatMs: setting(
    "KEDGE_HEARTBEAT_MS",
    "1000",
    "How often nodes report, in milliseconds",
    Milliseconds(100, 60_000),
  ),
  checkActiveIntervalMs: setting(
    "KEDGE_CHECK_ACTIVE_INTERVAL_MS",
    "4000",
    "Silence after which a node gets no more uploads, in milliseconds",
    Milliseconds(200, 600_000),
  ),
  capabilityLifeMs: setting(
    "KEDGE_CAPABILITY_LIFE_MS",
    "600000",
    "How long an upload or a change may wait to begin, in milliseconds",
    Milliseconds(1000, CAPABILITY_LIFE_MS_MAX),
  ),
  signingKeyLifeMs: setting(
    "KEDGE_SIGNING_KEY_LIFE_MS",
    "86400000",
    "Age at which the key that signs capabilities is replaced, in milliseconds",
    Milliseconds(3_600_000, 30 * 86_400_000),
  ),
  requestLog: setting(
    "KEDGE_REQUEST_LOG",
    "refusals",
    "Which requests are logged: `all`, `refusals`, or `off`",
    z.enum(["all", "refusals", "off"]),
  ),
} as const;

type Settings = typeof TRACKER_SETTINGS;

type Shape = { [Name in keyof Settings]: Settings[Name]["schema"] };

/** The settings after parsing. */
export type TrackerConfig = Readonly<z.output<z.ZodObject<Shape>>>;

/** Settings, or everything that is wrong with them. */
export type ParsedTrackerConfig =
  | { readonly ok: true; readonly config: TrackerConfig }
  | { readonly ok: false; readonly mistakes: readonly string[] };

/**
 * Read the settings of a tracker.
 *
 * @param env Environment variables; unknown names that begin with `KEDGE_` are
 * not mistakes, since other programs share the prefix.
 * @returns The settings, or every mistake at once, as sentences.
 *
 * @example All mistakes are told at once
 * ```ts
 * import { parseTrackerConfig } from "@kedge/schema/config/tracker";
 * import assert from "node:assert/strict";
 *
 * const parsed = parseTrackerConfig({
 *   KEDGE_ACCESS: "yes",
 *   KEDGE_RESERVED_STORAGE_SPACE: "plenty",
 * });
 * assert(!parsed.ok);
 * assert.equal(parsed.mistakes.length, 2);
 * ```
 */
export function parseTrackerConfig(
  env: Readonly<Record<string, string | undefined>>,
): ParsedTrackerConfig {
  const rows = Object.entries<Setting>(TRACKER_SETTINGS);
  const values: Record<string, unknown> = {};
  const mistakes: string[] = [];
  for (const [name, row] of rows) {
    const parsed = row.schema.safeParse(env[row.env] || row.fallback);
    if (parsed.success) values[name] = parsed.data;
    else mistakes.push(...parsed.error.issues.map((i) => sentence(row, i)));
  }
  mistakes.push(...contradictions(values as Partial<TrackerConfig>));
  if (mistakes.length > 0) return { ok: false, mistakes };
  return { ok: true, config: values as TrackerConfig };
}

function sentence(row: Setting, issue: z.core.$ZodIssue): string {
  return `${row.env}: ${issue.message} (${row.meaning})`;
}

function contradictions(config: Partial<TrackerConfig>): string[] {
  const mistakes: string[] = [];
  const { checkActiveIntervalMs = Infinity, heartbeatMs = 0 } = config;
  if (checkActiveIntervalMs < 2 * heartbeatMs) {
    mistakes.push(
      "KEDGE_CHECK_ACTIVE_INTERVAL_MS: must be at least twice KEDGE_HEARTBEAT_MS, or nodes look dead between two reports",
    );
  }
  if (
    config.storeLookup === "specified_group" && config.storeGroup === undefined
  ) {
    mistakes.push(
      "KEDGE_STORE_GROUP: must name a group when KEDGE_STORE_LOOKUP is specified_group",
    );
  }
  if (config.adminKey !== undefined && config.adminKeyFile !== undefined) {
    mistakes.push(
      "KEDGE_ADMIN_KEY: must be missing when KEDGE_ADMIN_KEY_FILE is given",
    );
  }
  if ((config.tlsCert === undefined) !== (config.tlsKey === undefined)) {
    mistakes.push("KEDGE_TLS_CERT, KEDGE_TLS_KEY: both, or neither");
  }
  return mistakes;
}
