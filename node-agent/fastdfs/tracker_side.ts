/**
 * What a tracker answers to clients: where to upload, whom to ask for a file.
 * Lists and statistics are in
 * `tracker_lists.ts` and `tracker_stats.ts`.
 *
 * Nothing is stored and nothing is learnt from a packet: commands with which
 * FastDFS's storages join and report are refused, whoever sends them. Source of
 * the layouts: fastdfs-protocol.md §3.
 *
 * @module
 */

import {
  COMMAND,
  encodePlace,
  readFileQuery,
  readGroupAlone,
  STATUS,
} from "@kedge/schema/wire/fastdfs";
import { whenHere } from "../when_here.ts";
import type { ClusterSight } from "./cluster_sight.ts";
import { type Sight, wireAddress } from "./sight.ts";
import {
  type Answerer,
  INVALID,
  NOT_FOUND,
  type TrackerFacts,
} from "./tracker_facts.ts";
import { trackerLists } from "./tracker_lists.ts";
import { trackerStats } from "./tracker_stats.ts";
import type { Reply, WireRequest } from "./wire_request.ts";

/** Longest request, in bytes: the longest of clients is below 200. */
const BODY_BYTES_MAX = 4096;

/** Commands of storages and of other trackers. Source: table of §2. */
const NOT_FOR_CLIENTS: ReadonlySet<number> = new Set([
  ...[58, 59, 60, 61, 62, 63, 65, 66, 67, 68, 72, 73, 74],
  ...[76, 77, 78, 79, 81, 83, 84, 85, 86, 87, 88, 89, 109],
]);

/** Answers clients of a tracker. */
export class TrackerSide {
  readonly #cluster: ClusterSight;
  readonly #answerers: ReadonlyMap<number, Answerer>;

  /** Answer from these. */
  constructor(cluster: ClusterSight, facts: TrackerFacts) {
    this.#cluster = cluster;
    this.#answerers = new Map<number, Answerer>([
      [COMMAND.storeOne, (body, sight) => store(body, sight, "one")],
      [COMMAND.storeAll, (body, sight) => store(body, sight, "all")],
      [COMMAND.storeGroupOne, (body, sight) => storeGroup(body, sight, "one")],
      [COMMAND.storeGroupAll, (body, sight) => storeGroup(body, sight, "all")],
      [COMMAND.fetchOne, (body, sight) => holders(body, sight, "one")],
      [COMMAND.fetchAll, (body, sight) => holders(body, sight, "all")],
      [COMMAND.update, update],
      ...trackerLists(facts),
      ...trackerStats(facts),
    ]);
  }

  /** Answer one request. */
  answer(request: WireRequest): Promise<Reply> | Reply {
    const { command } = request.header;
    if (command === COMMAND.quit) return { status: 0, end: "silently" };
    const body = request.rest(BODY_BYTES_MAX);
    if (body === undefined) return { ...INVALID, end: "after" };
    return whenHere(body, (bytes) => this.#answer(command, bytes));
  }

  #answer(command: number, body: Uint8Array): Promise<Reply> | Reply {
    if (command === COMMAND.activeTest) {
      return body.length === 0 ? { status: STATUS.ok } : INVALID;
    }
    const answerer = this.#answerers.get(command);
    if (answerer !== undefined) {
      return whenHere(this.#cluster.current(), (now) => answerer(body, now));
    }
    return NOT_FOR_CLIENTS.has(command) ? { status: STATUS.access } : INVALID;
  }
}

function store(body: Uint8Array, sight: Sight, how: "one" | "all"): Reply {
  return body.length === 0 ? place(sight, how) : INVALID;
}

function storeGroup(
  body: Uint8Array,
  sight: Sight,
  how: "one" | "all",
): Reply {
  const name = readGroupAlone(body);
  if (name === undefined) return INVALID;
  return sight.group(name) === undefined ? NOT_FOUND : place(sight, how, name);
}

function place(sight: Sight, how: "one" | "all", wanted?: string): Reply {
  const only = wanted === undefined ? undefined : sight.group(wanted);
  const draw = sight.draw(only);
  const isFull = only?.isFull ?? sight.isFull;
  if (draw === undefined) {
    return { status: isFull ? STATUS.noSpace : STATUS.notFound };
  }
  const group = sight.group(draw.group);
  const chosen = group && sight.member(group, draw.node);
  if (group === undefined || chosen === undefined) return NOT_FOUND;
  const others = how === "one"
    ? []
    : sight.writable(group).filter(({ node }) => node !== chosen.node);
  const servers = [chosen, ...others].map(wireAddress);
  const { pathIndex } = draw;
  const answer = { group: draw.group, servers, pathIndex };
  return { status: STATUS.ok, body: encodePlace(answer, sight.ipBytes) };
}

/** Who is asked for a file. */
function holders(body: Uint8Array, sight: Sight, how: "one" | "all"): Reply {
  const query = readFileQuery(body);
  if (query === undefined) return INVALID;
  const group = sight.group(query.group);
  const chosen = group && sight.reader(group, query.name);
  if (group === undefined || chosen === undefined) return NOT_FOUND;
  const others = how === "one"
    ? []
    : sight.readable(group).filter(({ node }) => node !== chosen.node);
  const servers = [chosen, ...others].map(wireAddress);
  const answer = { group: query.group, servers };
  return { status: STATUS.ok, body: encodePlace(answer, sight.ipBytes) };
}

function update(body: Uint8Array, sight: Sight): Reply {
  const query = readFileQuery(body);
  if (query === undefined) return INVALID;
  const group = sight.group(query.group);
  const writer = group && sight.writer(group, query.name);
  if (writer === undefined) return NOT_FOUND;
  const answer = { group: query.group, servers: [wireAddress(writer)] };
  return { status: STATUS.ok, body: encodePlace(answer, sight.ipBytes) };
}
