/**
 * Settings of a node agent. `docs/reference/config.md` is generated from here.
 *
 * One name in three spellings: `upload_priority` in the JSON file and in
 * FastDFS, `--upload-priority` on the command line, `KEDGE_UPLOAD_PRIORITY` in
 * the environment. (`store_paths` is `--store-path`, once per folder.) The command line wins over the environment, the environment
 * over the file. Secrets have no flag: a command line is public.
 *
 * @module
 */

import { z } from "zod";
import { GroupName } from "../group.ts";
import { INLINE_BODY_BYTES_MAX, STORE_PATHS_MAX } from "../limits.ts";
import {
  DOWNLOAD_SETTINGS,
  type DownloadConfig,
  downloadConfig,
  downloadContradictions,
} from "./downloads.ts";
import {
  FASTDFS_SETTINGS,
  type FastdfsConfig,
  fastdfsConfig,
  fastdfsContradictions,
} from "./fastdfs.ts";
import { type AgentSources, gather } from "./agent_sources.ts";
import { list, number, parsed, toggle } from "./fields.ts";
import {
  type HostPort,
  parseDuration,
  parseHostPort,
  parseRate,
  parseReserve,
  parseSize,
  parseTimeOfDay,
  type Reserve,
} from "./units.ts";

/** Only what rides in its change record can be packed. */
function parseSmallFileMax(text: string): number | undefined {
  const bytes = parseSize(text);
  return bytes !== undefined && bytes <= INLINE_BODY_BYTES_MAX
    ? bytes
    : undefined;
}

/** Settings as they are written, all of them text. */
export const AgentSettings = z.strictObject({
  data: z.string().min(1).default("./kedge-data/node")
    .describe("Folder for the database and the identity of this node."),
  tracker: list(z.url({ protocol: /^https?$/ })).default([
    "http://127.0.0.1:8080",
  ]).describe("Trackers, as URLs; any one of them is enough."),
  listen: parsed(parseHostPort, "HOST:PORT").prefault("127.0.0.1:8081")
    .describe("Where clients connect (HTTP)."),
  peer_listen: parsed(parseHostPort, "HOST:PORT").prefault("127.0.0.1:9081")
    .describe("Where the other agents of the group connect."),
  advertise: z.url({ protocol: /^https?$/ }).optional()
    .describe("URL that clients use; derived from `listen` when missing."),
  peer_advertise: parsed(parseHostPort, "HOST:PORT").optional()
    .describe("Address that other agents use; `peer_listen` when missing."),
  store_paths: list(z.string().min(1)).pipe(
    z.array(z.string()).max(STORE_PATHS_MAX),
  ).default([]).describe(
    "Disks or folders for files: M00, M01, … in this order; `DATA/store` when missing. Append only: the order is part of every file ID.",
  ),
  group: GroupName.optional()
    .describe("Group to join; a token may fix it. Used at the first start."),
  token_file: z.string().min(1).optional()
    .describe("File with the one-time join token. Used at the first start."),
  join_token: z.string().min(16).max(200).optional()
    .describe("The join token itself; environment only, never a flag."),
  upload_priority: number(0, 1000).default(10)
    .describe("Lower is chosen first by `first_by_priority`."),
  reserved_storage_space: parsed(parseReserve, "a size or a percentage")
    .prefault("1GB").describe(
      "Space kept free on every store path, such as `20%` or `4GB`; uploads stop there with 507.",
    ),
  subdir_count_per_path: number(1, 256).default(256)
    .describe("Folders per level of a store path; two levels. Fixed for good."),
  file_distribute_path_mode: z.enum(["rotate", "random"]).default("rotate")
    .describe("How files are spread over folders."),
  file_distribute_rotate_count: number(1, 1_000_000).default(100)
    .describe("Files in one folder before `rotate` takes the next."),
  check_file_duplicate: toggle().default(false).describe(
    "Keep equal bytes once per store path; every upload has its own file ID all the same.",
  ),
  small_file_max: parsed(parseSmallFileMax, "0, or a size up to 64KB")
    .prefault("0").describe(
      "Files up to this size, 64KB at most, are packed into segment files; 0: every file is a file. What the group says (`kedge group set`) counts more.",
    ),
  fsync_after_written_bytes: parsed(parseSize, "a size such as 4MB")
    .prefault("0").describe(
      "Flush a large upload each time this many bytes of it were written; 0: once, at its end.",
    ),
  sync_start_time: parsed(parseTimeOfDay, "HH:MM").prefault("00:00")
    .describe("Background catch-up may run from this time of day (local)."),
  sync_end_time: parsed(parseTimeOfDay, "HH:MM").prefault("23:59")
    .describe("Background catch-up stops after this minute of the day."),
  sync_bandwidth: parsed(parseRate, "bytes per second, such as 20MB")
    .prefault("0").describe(
      "Ceiling for background catch-up per second; 0 is none. Acknowledgements at B and C are never slowed.",
    ),
  sync_interval: parsed(parseDuration, "a duration such as 10ms")
    .prefault("0").describe("Pause between two files of background catch-up."),
  scrub_interval: parsed(parseDuration, "a duration such as 7d").prefault("7d")
    .describe("Every stored byte is read again this often; 0 never."),
  scrub_bandwidth: parsed(parseRate, "bytes per second, such as 20MB")
    .prefault("20MB").describe("Ceiling for the scrub, bytes per second."),
  isolated_reads: z.enum(["refuse", "serve"]).default("refuse").describe(
    "Whether to go on serving reads when neither tracker nor peers answer: a deleted file may be served.",
  ),
  ack_timeout: parsed(parseDuration, "a duration such as 3s").prefault("3s")
    .describe("Silence after which the group goes on without an in-sync peer."),
  tombstone_age: parsed(parseDuration, "a duration such as 1h").prefault("1h")
    .describe(
      "Deletes are remembered at least this long, and until every member has them.",
    ),
  log_keep: number(1, 1_000_000_000).default(10_000).describe(
    "Changes that are kept in the log in any case; older ones go once every member has them.",
  ),
  log_lag_max: number(1, 1_000_000_000).default(1_000_000).describe(
    "Changes that are kept for a member that is out of sync; with more it compares when it comes back.",
  ),
  tls_cert: z.string().min(1).optional()
    .describe("Certificate chain (PEM) for HTTPS; needs `tls_key`."),
  tls_key: z.string().min(1).optional()
    .describe("Private key (PEM) of `tls_cert`."),
  ca: z.string().min(1).optional()
    .describe("More certificate authorities (PEM) to trust towards trackers."),
  log_format: z.enum(["text", "json"]).default("text")
    .describe("How log lines look on standard error."),
  log_level: z.enum(["info", "warn"]).default("info")
    .describe("`warn` leaves out what is not worth a look."),
  ...DOWNLOAD_SETTINGS,
  ...FASTDFS_SETTINGS,
});

/** Complete, typed settings of an agent. */
export interface AgentConfig {
  /** Folder for the database and the identity of this node. */
  readonly dataDir: string;
  /** Trackers, as URLs without a slash at the end; at least one. */
  readonly trackers: readonly string[];
  /** Where clients connect (HTTP). */
  readonly listen: HostPort;
  /** Where other agents connect. */
  readonly peerListen: HostPort;
  /** URL for clients; `undefined`: make it from the address really bound. */
  readonly advertise: string | undefined;
  /** Address for peers; `undefined`: the address really bound. */
  readonly peerAdvertise: HostPort | undefined;
  /** Store paths in order (`M00` first), at least one. */
  readonly storePaths: readonly string[];
  /** Group to join at the first start. */
  readonly group: string | undefined;
  /** File with the join token. */
  readonly tokenFile: string | undefined;
  /** The join token itself, from the environment. */
  readonly joinToken: string | undefined;
  /** Lower is chosen first by `first_by_priority`. */
  readonly uploadPriority: number;
  /** Space kept free on every store path. */
  readonly reserve: Reserve;
  /** Folders per level, 1 to 256. */
  readonly subdirCountPerPath: number;
  /** How files are spread over folders. */
  readonly distributeMode: "rotate" | "random";
  /** Files in one folder before `rotate` takes the next. */
  readonly distributeRotateCount: number;
  /** Whether equal bytes are kept once per store path. */
  readonly checkDuplicates: boolean;
  /** Largest file that is packed, in bytes; 0 packs none. */
  readonly smallFileMax: number;
  /** Bytes of a large upload after which it is flushed; 0: at its end. */
  readonly fsyncAfterBytes: number;
  /** Catch-up window: minutes after local midnight, end included. */
  readonly syncWindow: {
    readonly startMinute: number;
    readonly endMinute: number;
  };
  /** Ceiling for background catch-up, bytes per second; 0 is none. */
  readonly syncBytesPerS: number;
  /** Pause between two files of background catch-up, in ms. */
  readonly syncIntervalMs: number;
  /** Time between the starts of two scrubs, in ms; 0 is never. */
  readonly scrubIntervalMs: number;
  /** Ceiling for the scrub, bytes per second; 0 is none. */
  readonly scrubBytesPerS: number;
  /** Whether to serve reads without contact to anybody. */
  readonly isolatedReads: "refuse" | "serve";
  /** Silence after which an in-sync peer is late, in ms. */
  readonly ackTimeoutMs: number;
  /** Age of a delete before it may be forgotten, in ms. */
  readonly tombstoneAgeMs: number;
  /** Records of our log that are kept in any case. */
  readonly logKeepRecords: number;
  /** Records that are kept for a member that is out of sync. */
  readonly logLagRecordsMax: number;
  /** Files with certificate chain and private key, for HTTPS. */
  readonly tls:
    | { readonly certFile: string; readonly keyFile: string }
    | undefined;
  /** File with more certificate authorities to trust. */
  readonly caFile: string | undefined;
  /** How log lines look. */
  readonly logFormat: "text" | "json";
  /** Which log lines there are. */
  readonly logLevel: "info" | "warn";
  /** Links that downloads need, and nginx in front. */
  readonly downloads?: DownloadConfig | undefined;
  /** FastDFS's protocol; `undefined` is off. */
  readonly fastdfs?: FastdfsConfig | undefined;
}

/** One setting, for help texts and generated pages. */
export interface AgentSetting {
  /** Name in the file, such as `upload_priority`. */
  readonly name: string;
  /** Flag with dashes, or `undefined` for a secret. */
  readonly flag: string | undefined;
  /** Environment variable. */
  readonly env: string;
  /** Default as text; `undefined` is none. */
  readonly fallback: string | undefined;
  /** What it does. */
  readonly description: string;
  /** Whether it may be given several times (or separated by commas). */
  readonly isList: boolean;
  /** Whether the flag alone is enough. */
  readonly isToggle: boolean;
}

/** Settings that must not stand on a command line. */
const SECRET: ReadonlySet<string> = new Set(["join_token", "download_keys"]);

const LISTS: ReadonlySet<string> = new Set([
  "tracker",
  "store_paths",
  "fastdfs_allow_hosts",
  "download_token_paths",
  "trusted_proxies",
]);

const TOGGLES: ReadonlySet<string> = new Set([
  "check_file_duplicate",
  "fastdfs",
  "fastdfs_read_only",
]);

function flagOf(name: string): string | undefined {
  if (SECRET.has(name)) return undefined;
  // One folder per flag reads better in the singular.
  if (name === "store_paths") return "--store-path";
  return `--${name.replaceAll("_", "-")}`;
}

/** Every setting, in the order of the page. */
export function agentSettings(): AgentSetting[] {
  return Object.entries(AgentSettings.shape).map(([name, field]) => {
    const fallback = "defaultValue" in field.def
      ? String(field.def.defaultValue)
      : "";
    return {
      name,
      flag: flagOf(name),
      env: `KEDGE_${name.toUpperCase()}`,
      fallback: fallback === "" ? undefined : fallback,
      description: field.description ?? "",
      isList: LISTS.has(name),
      isToggle: TOGGLES.has(name),
    };
  });
}

/**
 * Read the settings of an agent.
 *
 * @param sources Command line, environment, file.
 * @returns Complete, typed settings.
 * @throws {Error} With every mistake in one message, one per line.
 *
 * @example All mistakes are told at once
 * ```ts
 * import { readAgentConfig } from "@kedge/schema/config/agent";
 * import assert from "node:assert/strict";
 *
 * assert.throws(
 *   () =>
 *     readAgentConfig({
 *       flags: { listen: "nowhere", upload_priority: "-1" },
 *       env: { KEDGE_TRACKER: "localhost" },
 *     }),
 *   /tracker[^]*listen[^]*upload_priority/,
 * );
 * ```
 */
export function readAgentConfig(sources: AgentSources): AgentConfig {
  const result = AgentSettings.safeParse(
    gather(sources, Object.keys(AgentSettings.shape)),
  );
  const mistakes = result.success ? [] : result.error.issues.map((issue) => {
    const keys = issue.code === "unrecognized_keys" ? issue.keys : undefined;
    const name = keys?.join(", ") ?? String(issue.path[0] ?? "?");
    return `${name}: ${keys ? "no such setting" : issue.message}`;
  });
  if (result.success) mistakes.push(...contradictions(result.data));
  if (!result.success || mistakes.length > 0) {
    throw new Error(
      `Cannot start with these settings:\n  ${mistakes.join("\n  ")}`,
    );
  }
  return toConfig(result.data);
}

function contradictions(settings: z.infer<typeof AgentSettings>): string[] {
  const found = [
    ...fastdfsContradictions(settings),
    ...downloadContradictions(settings),
  ];
  if ((settings.tls_cert === undefined) !== (settings.tls_key === undefined)) {
    found.push("tls_cert, tls_key: give both or neither");
  }
  if (settings.listen.hostname === "0.0.0.0" && !settings.advertise) {
    found.push(
      "advertise: needed because `listen` is every interface; give the URL that clients use",
    );
  }
  if (settings.peer_listen.hostname === "0.0.0.0" && !settings.peer_advertise) {
    found.push(
      "peer_advertise: needed because `peer_listen` is every interface",
    );
  }
  const paths = settings.store_paths;
  if (new Set(paths).size < paths.length) {
    found.push("store_paths: the same folder twice");
  }
  return found;
}

function toConfig(settings: z.infer<typeof AgentSettings>): AgentConfig {
  const { tls_cert: certFile, tls_key: keyFile } = settings;
  const storePaths = settings.store_paths;
  return {
    dataDir: settings.data,
    trackers: settings.tracker.map((url) => url.replace(/\/+$/, "")),
    listen: settings.listen,
    peerListen: settings.peer_listen,
    advertise: settings.advertise?.replace(/\/+$/, ""),
    peerAdvertise: settings.peer_advertise,
    storePaths: storePaths.length > 0
      ? storePaths
      : [`${settings.data.replace(/\/+$/, "")}/store`],
    group: settings.group,
    tokenFile: settings.token_file,
    joinToken: settings.join_token,
    uploadPriority: settings.upload_priority,
    reserve: settings.reserved_storage_space,
    subdirCountPerPath: settings.subdir_count_per_path,
    distributeMode: settings.file_distribute_path_mode,
    distributeRotateCount: settings.file_distribute_rotate_count,
    checkDuplicates: settings.check_file_duplicate,
    smallFileMax: settings.small_file_max,
    fsyncAfterBytes: settings.fsync_after_written_bytes,
    syncWindow: {
      startMinute: settings.sync_start_time,
      endMinute: settings.sync_end_time,
    },
    syncBytesPerS: settings.sync_bandwidth,
    syncIntervalMs: settings.sync_interval,
    scrubIntervalMs: settings.scrub_interval,
    scrubBytesPerS: settings.scrub_bandwidth,
    isolatedReads: settings.isolated_reads,
    ackTimeoutMs: settings.ack_timeout,
    tombstoneAgeMs: settings.tombstone_age,
    logKeepRecords: settings.log_keep,
    logLagRecordsMax: settings.log_lag_max,
    tls: certFile !== undefined && keyFile !== undefined
      ? { certFile, keyFile }
      : undefined,
    caFile: settings.ca,
    logFormat: settings.log_format,
    logLevel: settings.log_level,
    downloads: downloadConfig(settings),
    fastdfs: fastdfsConfig(settings),
  };
}
