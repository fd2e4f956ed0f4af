/**
 * The cluster as read from the KV at most a quarter of a second ago.
 *
 * A pure optimisation: an upload needs registers, settings, reports and keys,
 * and reading them each time would cost more than all the rest. Nothing that
 * must be exact comes from here: registers are changed and told to agents from
 * fresh reads. When the KV is away the last reading goes on, with the
 * heartbeats that this tracker itself has heard (promises F11).
 *
 * @module
 */

import {
  GroupRegister,
  GroupSettings,
  type Heartbeat,
  keys,
  type NodeId,
  NodeRecord,
  NodeReport,
  type SigningKey,
} from "@kedge/schema";
import type { TrackerConfig } from "@kedge/schema/config/tracker";
import {
  type GroupState,
  groupStates,
  type HeardReport,
} from "../domain/cluster.ts";
import { sight, type Sighting, silentMsOf } from "../domain/liveness.ts";
import { type GroupTarget, uploadTargets } from "../domain/placement.ts";
import type { Clock } from "../ports.ts";
import type { KvEntry, KvStore } from "./kv.ts";
import { ParsedOnce, type ParsedValues } from "./parsed_once.ts";
import { parseSigningKeys } from "./signing_keys.ts";

/** The cluster at one moment. */
export interface ClusterView {
  /** Groups by name. */
  readonly groups: ReadonlyMap<string, GroupState>;
  /** Nodes by number. */
  readonly nodes: ReadonlyMap<NodeId, NodeRecord>;
  /** Where uploads may go. */
  readonly targets: readonly GroupTarget[];
  /** All stored signing keys, newest first. */
  readonly signingKeys: readonly SigningKey[];
}

/** Oldest view that is used while the KV answers, in ms. */
const VIEW_AGE_MS_MAX = 250;

/** How long a request waits for a slow KV when there is an older view, in ms. */
const PATIENCE_MS = 1000;

const DEFAULT_SETTINGS = GroupSettings.parse({});

/** What was read, before it is known how long ago everybody reported. */
interface Reading {
  readonly registers: readonly GroupRegister[];
  readonly settings: ReadonlyMap<string, GroupSettings>;
  readonly nodes: ReadonlyMap<NodeId, NodeRecord>;
  readonly reports: ReadonlyMap<NodeId, SightedReport>;
  readonly signingKeys: SigningKey[];
}

interface SightedReport {
  readonly heartbeat: Heartbeat;
  readonly sighting: Sighting;
}

/** Reads the cluster and remembers it for a moment. */
export class ClusterCache {
  readonly #kv: KvStore;
  readonly #config: TrackerConfig;
  readonly #clock: Clock;
  readonly #heard = new Map<NodeId, SightedReport>();
  #sightings: ReadonlyMap<NodeId, Sighting> = new Map();
  #parsed: ParsedValues = new Map();
  #readMs: number | undefined;
  #reading: Reading | undefined;
  #view: ClusterView | undefined;
  #viewMs = -Infinity;
  #loading: Promise<ClusterView> | undefined;
  #changes = 0;

  /** Use a store that the caller opened and closes. */
  constructor(kv: KvStore, config: TrackerConfig, clock: Clock) {
    this.#kv = kv;
    this.#config = config;
    this.#clock = clock;
  }

  /**
   * The cluster now, give or take a quarter of a second.
   *
   * @throws {Problem} `kv-unavailable` when the KV never answered.
   */
  current(): ClusterView | Promise<ClusterView> {
    const ageMs = this.#clock.monotonicMs() - this.#viewMs;
    if (this.#view !== undefined && ageMs <= VIEW_AGE_MS_MAX) return this.#view;
    return this.#refresh();
  }

  /** Something was written: the next request reads again. */
  drop(): void {
    this.#changes++;
    this.#viewMs = -Infinity;
    this.#loading = undefined;
  }

  /** Remember a heartbeat, so that it counts even while the KV is away. */
  hear(node: NodeId, heartbeat: Heartbeat): void {
    const seenMs = this.#clock.monotonicMs();
    const sighting = { version: "heard here", ageMs: 0, seenMs };
    this.#heard.set(node, { heartbeat, sighting });
  }

  async #refresh(): Promise<ClusterView> {
    this.#loading ??= this.#load(this.#changes);
    const loading = this.#loading;
    if (this.#reading === undefined) return await loading;
    try {
      const view = await withPatience(loading);
      if (view !== undefined) return view;
    } catch {
      // The KV is away: go on with what is known.
    }
    return this.#goOn(this.#reading);
  }

  /** Use an older reading for another moment. */
  #goOn(reading: Reading): ClusterView {
    const view = this.#build(reading);
    this.#view = view;
    this.#viewMs = this.#clock.monotonicMs();
    return view;
  }

  async #load(change: number): Promise<ClusterView> {
    try {
      const reading = await this.#read();
      const view = this.#build(reading);
      if (change === this.#changes) {
        this.#reading = reading;
        this.#view = view;
        this.#viewMs = this.#clock.monotonicMs();
      }
      return view;
    } finally {
      if (change === this.#changes) this.#loading = undefined;
    }
  }

  #build(reading: Reading): ClusterView {
    const groups = groupStates(
      { ...reading, reports: this.#reportsOf(reading) },
      {
        checkActiveIntervalMs: this.#config.checkActiveIntervalMs,
        defaults: DEFAULT_SETTINGS,
      },
    );
    return {
      groups: new Map(groups.map((group) => [group.register.group, group])),
      nodes: reading.nodes,
      targets: uploadTargets(groups, this.#config.reservedSpace),
      signingKeys: reading.signingKeys,
    };
  }

  /** Of what was stored and what was heard here, the newer of each node. */
  #reportsOf({ nodes, reports }: Reading): Map<NodeId, HeardReport> {
    const nowMs = this.#clock.monotonicMs();
    const newest = new Map<NodeId, HeardReport>();
    for (
      const [node, { heartbeat, sighting }] of [...reports, ...this.#heard]
    ) {
      const silentMs = silentMsOf(sighting, nowMs);
      if (silentMs <= (newest.get(node)?.silentMs ?? Infinity)) {
        newest.set(node, { heartbeat, silentMs });
      }
    }
    for (const node of this.#heard.keys()) {
      if (!nodes.has(node)) this.#heard.delete(node);
    }
    return newest;
  }

  async #read(): Promise<Reading> {
    const [registers, settings, nodes, reports, signing] = await Promise.all([
      this.#kv.list(keys.groups()),
      this.#kv.list(keys.settings("").slice(0, 1)),
      this.#kv.list(keys.nodes()),
      this.#kv.list(keys.reports()),
      this.#kv.get(keys.signingKeys()),
    ]);
    const parser = new ParsedOnce(this.#parsed);
    const reading = {
      registers: registers.map((entry) => parser.parse(entry, GroupRegister)),
      settings: parser.parseAll(settings, GroupSettings, String),
      nodes: parser.parseAll(nodes, NodeRecord, Number),
      reports: this.#sightAll(reports, parser),
      signingKeys: parseSigningKeys(signing),
    };
    this.#parsed = parser.parsed;
    return reading;
  }

  #sightAll(
    entries: readonly KvEntry[],
    parser: ParsedOnce,
  ): Map<NodeId, SightedReport> {
    const nowMs = this.#clock.monotonicMs();
    const wallMs = this.#clock.wallMs();
    const reading = { nowMs, wallMs, previousMs: this.#readMs };
    this.#readMs = nowMs;
    const sighted = new Map<NodeId, SightedReport>();
    for (const entry of entries) {
      const node = Number(entry.key[1]);
      const { heardMs, heartbeat } = parser.parse(entry, NodeReport);
      const { version } = entry;
      const known = this.#sightings.get(node);
      const sighting = sight(known, { version, heardMs }, reading);
      sighted.set(node, { heartbeat, sighting });
    }
    // Kept even if this reading is thrown away: it was a look at the reports.
    this.#sightings = new Map(
      [...sighted].map(([node, { sighting }]) => [node, sighting]),
    );
    return sighted;
  }
}

/** Wait, but not for ever: `undefined` when it takes too long. */
async function withPatience<Value>(
  value: Promise<Value>,
): Promise<Value | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tired = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), PATIENCE_MS);
  });
  try {
    return await Promise.race([value, tired]);
  } finally {
    clearTimeout(timer);
  }
}
