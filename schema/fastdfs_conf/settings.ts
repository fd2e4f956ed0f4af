/**
 * From the findings of all files to the settings of an agent and of a tracker.
 *
 * @module
 */

import { isIP } from "node:net";
import { hostPortText } from "../config/units.ts";
import { INLINE_BODY_BYTES_MAX, STORE_PATHS_MAX } from "../limits.ts";
import { type HostAddress, ownAddress } from "./host_address.ts";
import type { ConfKind } from "./keys/row.ts";
import type { ConfProblem } from "./text.ts";
import { tokenSettings } from "./tokens.ts";
import type { FastdfsConf, KeyFinding } from "./understand.ts";

/** Ports of Kedge's own doors. */
const TRACKER_HTTP = 8080;
const AGENT_HTTP = 8081;
const AGENT_PEERS = 9081;
/** FastDFS's ports. */
const STORAGE = 23000;
const TRACKER = 22122;

/** Whom the processes are to run as. */
export interface RunAs {
  readonly user: string | undefined;
  readonly group: string | undefined;
}

/** What configuration files come to. */
export interface FastdfsSettings {
  /** Settings of the agent by name; none without a storage.conf. */
  readonly agent: Readonly<Record<string, string | readonly string[]>>;
  /** Environment of the tracker; empty without a tracker.conf. */
  readonly tracker: Readonly<Record<string, string>>;
  readonly runAs: Readonly<Record<"agent" | "tracker", RunAs>>;
  /** What two files cannot agree on, or what is missing. */
  readonly problems: readonly ConfProblem[];
  /** What to know, as sentences. */
  readonly hints: readonly string[];
}

/**
 * Make settings.
 *
 * @param conf All files, read.
 * @param addresses Of this host, for what listens on every interface.
 */
export function settingsOf(
  conf: FastdfsConf,
  addresses: readonly HostAddress[],
): FastdfsSettings {
  const all = conf.files.flatMap(({ findings }) => findings)
    .filter(({ fate, value }) => fate === "mapped" && value !== "");
  const of = (kind: ConfKind) => new Keys(all, kind);
  const has = (kind: ConfKind) => conf.files.some((file) => file.kind === kind);
  const problems: ConfProblem[] = [];
  const hints: string[] = [];
  const given: Given = {
    tracker: has("tracker") ? of("tracker") : undefined,
    storage: has("storage") ? of("storage") : undefined,
    addresses,
    problems,
    hints,
  };
  return {
    agent: agentSettings(all, given),
    tracker: trackerSettings(all, given),
    runAs: {
      agent: runAs(given.storage),
      tracker: runAs(given.tracker),
    },
    problems,
    hints,
  };
}

function runAs(keys: Keys | undefined): RunAs {
  return {
    user: keys?.value("run_by_user"),
    group: keys?.value("run_by_group"),
  };
}

/** The mapped keys of one kind of file. */
class Keys {
  readonly #findings: readonly KeyFinding[];

  constructor(all: readonly KeyFinding[], kind: ConfKind) {
    this.#findings = all.filter((finding) => finding.kind === kind);
  }

  value(key: string): string | undefined {
    return this.#findings.find((finding) => finding.key === key)?.value;
  }

  all(key: string): KeyFinding[] {
    return this.#findings.filter((finding) => finding.key === key);
  }
}

interface Given {
  readonly tracker: Keys | undefined;
  readonly storage: Keys | undefined;
  readonly addresses: readonly HostAddress[];
  readonly problems: ConfProblem[];
  readonly hints: string[];
}

function agentSettings(
  all: readonly KeyFinding[],
  given: Given,
): Record<string, string | readonly string[]> {
  const { storage, tracker, hints } = given;
  if (storage === undefined) return {};
  const settings: Record<string, string | readonly string[]> = {};
  // storage.conf last: it wins.
  const inOrder = [...all].sort((a, b) =>
    Number(a.kind === "storage") - Number(b.kind === "storage")
  );
  for (const { row, value } of inOrder) {
    for (const target of row.to ?? []) {
      if ("agent" in target) settings[target.agent] = value;
    }
  }
  const trackers = storage.all("tracker_server").map(({ value }) => value);
  const [first] = trackers;
  if (first !== undefined) {
    settings.tracker = `http://${hostOf(first)}:${TRACKER_HTTP}`;
  }
  if (first === undefined) {
    hints.push("There is no tracker_server: give --tracker URL");
  }
  if (trackers.length > 1) {
    hints.push(
      `Of ${trackers.length} tracker_server the first one is taken: trackers share one KV store. With a remote one name the others with --tracker as well`,
    );
  }
  if (tracker === undefined) {
    hints.push(
      "Give tracker.conf as well: reserved_storage_space, allow_hosts and the port of the tracker side stand there",
    );
  }
  const base = storage.value("base_path");
  if (base !== undefined) settings.data = `${base.replace(/\/+$/, "")}/kedge`;
  const paths = storePaths(storage, base, given);
  if (paths.length > 0) settings.store_paths = paths;
  return {
    ...settings,
    ...doors(given, first),
    ...tokenSettings(all, given.problems),
    ...packing(tracker),
    fastdfs: "yes",
    fastdfs_allow_hosts: allowHosts(given),
  };
}

/** Trunk files, as far as segments of packed files are the same. */
function packing(tracker: Keys | undefined): Record<string, string> {
  const isWanted = tracker?.value("use_trunk_file");
  if (isWanted === undefined) return {};
  // 16 MB when missing: more than is ever packed here.
  const slotMax = Number(tracker?.value("slot_max_size") ?? Infinity);
  const max = Math.min(slotMax, INLINE_BODY_BYTES_MAX);
  return { small_file_max: isWanted === "yes" ? String(max) : "0" };
}

/** `store_path0` is `base_path` when missing. Source: FastDFS's reference. */
function storePaths(
  storage: Keys,
  base: string | undefined,
  { problems }: Given,
): string[] {
  const count = Number(storage.value("store_path_count") ?? 1);
  const paths: string[] = [];
  const [said] = storage.all("store_path_count");
  if (said !== undefined && (count < 1 || count > STORE_PATHS_MAX)) {
    problems.push({
      file: said.file,
      line: said.line,
      cause: `store_path_count = ${count} cannot be`,
      next: `write 1 to ${STORE_PATHS_MAX}`,
    });
    return paths;
  }
  for (let index = 0; index < count; index++) {
    const path = storage.value(`store_path${index}`) ??
      (index === 0 ? base : undefined);
    if (path === undefined) {
      problems.push({
        file: said?.file ?? "storage.conf",
        line: said?.line ?? 0,
        cause: `store_path${index} is missing`,
        next: index === 0
          ? "write store_path0 or base_path"
          : `write it, or a smaller store_path_count than ${count}`,
      });
    } else paths.push(path.replace(/(.)\/+$/, "$1"));
  }
  return paths;
}

/** Where the agent listens, and what others are told. */
function doors(
  given: Given,
  firstTracker: string | undefined,
): Record<string, string> {
  const { storage, tracker, addresses, hints } = given;
  const bound = firstAddress(storage?.value("bind_addr"));
  const prefix = storage?.value("if_alias_prefix");
  const isNamed = addresses.some(({ name }) => name.startsWith(prefix ?? ""));
  if (bound === undefined && !isNamed) {
    hints.push(
      `No interface of this host begins with "${prefix}" (if_alias_prefix)`,
    );
  }
  const own = bound ?? ownAddress(addresses, {
    prefix,
    toward: firstTracker === undefined ? undefined : hostOf(firstTracker),
  });
  const everywhere = own?.includes(":") ? "::" : "0.0.0.0";
  const listen = bound ?? everywhere;
  const trackerListen = firstAddress(tracker?.value("bind_addr")) ?? listen;
  const at = (hostname: string, port: number | string) =>
    hostPortText({ hostname, port: Number(port) });
  const storagePort = storage?.value("port") ?? STORAGE;
  const found: Record<string, string> = {
    listen: at(listen, AGENT_HTTP),
    peer_listen: at(listen, AGENT_PEERS),
    fastdfs_listen: at(listen, storagePort),
    fastdfs_tracker_listen: at(
      trackerListen,
      tracker?.value("port") ?? TRACKER,
    ),
  };
  if (bound !== undefined) return found;
  if (own === undefined) {
    hints.push(
      "This host has no address that others could be told: give bind_addr, or --advertise, --peer-advertise and --fastdfs-advertise",
    );
    return found;
  }
  return {
    ...found,
    advertise: `http://${at(own, AGENT_HTTP)}`,
    peer_advertise: at(own, AGENT_PEERS),
    fastdfs_advertise: at(own, storagePort),
  };
}

/** One list for both sides. */
function allowHosts({ storage, tracker, problems }: Given): readonly string[] {
  const [ours, theirs] = [storage, tracker].map((keys) =>
    keys?.all("allow_hosts") ?? []
  );
  const texts = (list: readonly KeyFinding[] = []) =>
    list.map(({ value }) => value).sort();
  const [mine, others] = [texts(ours), texts(theirs)];
  const differs = mine.length > 0 && others.length > 0 &&
    mine.join() !== others.join();
  const at = theirs?.[0];
  if (differs && at !== undefined) {
    problems.push({
      file: at.file,
      line: at.line,
      cause: "allow_hosts is another list than in storage.conf",
      next: "make them the same: an agent has one list for both sides",
    });
  }
  const hosts = mine.length > 0 ? mine : others;
  return hosts.length > 0 ? hosts : ["*"];
}

function trackerSettings(
  all: readonly KeyFinding[],
  { tracker, problems }: Given,
): Record<string, string> {
  if (tracker === undefined) return {};
  const bound = firstAddress(tracker.value("bind_addr")) ?? "0.0.0.0";
  const base = tracker.value("base_path");
  const settings: Record<string, string> = {
    KEDGE_LISTEN: hostPortText({ hostname: bound, port: TRACKER_HTTP }),
    ...(base === undefined
      ? {}
      : { KEDGE_KV: `${base.replace(/\/+$/, "")}/kedge/tracker.kv` }),
  };
  for (const { row, value } of all) {
    for (const target of row.to ?? []) {
      if ("tracker" in target) settings[target.tracker] = value;
    }
  }
  const [lookup] = tracker.all("store_lookup");
  if (
    lookup?.value === "specified_group" &&
    settings.KEDGE_STORE_GROUP === undefined
  ) {
    problems.push({
      file: lookup.file,
      line: lookup.line,
      cause: "store_lookup = 1 needs to know the group",
      next: "write store_group",
    });
  }
  // FastDFS reads the group only when it is to be used.
  if (settings.KEDGE_STORE_LOOKUP !== "specified_group") {
    delete settings.KEDGE_STORE_GROUP;
  }
  return settings;
}

/** `HOST:PORT`, also with two hosts, as FastDFS 6 takes it. */
function hostOf(server: string): string {
  const [first = ""] = server.split(",");
  const bracketed = /^\[([^\]]+)\]/.exec(first)?.[1];
  if (bracketed !== undefined) return `[${bracketed}]`;
  return first.replace(/:\d+$/, "").trim();
}

/** `undefined` is every interface. */
function firstAddress(text: string | undefined): string | undefined {
  const parts = (text ?? "").split(",").map((part) => part.trim())
    .filter((part) => isIP(part) !== 0);
  return parts.find((part) => isIP(part) === 4) ?? parts[0];
}
