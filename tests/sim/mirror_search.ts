/**
 * Breadth-first search over everything that can happen to a pair of nodes.
 * States that differ only in names (of generations, of writes, of the nodes)
 * are one. The first broken promise comes with the shortest story to it.
 *
 * @module
 */

import {
  BASE_MASK,
  type Pair,
  type PairNode,
  type Side,
} from "./mirror_pair.ts";
import { eventsOf } from "./mirror_pair_events.ts";
import {
  Broken,
  type Circumstances,
  type PairPromise,
} from "./mirror_promises.ts";

/** Bounds of a search. */
export interface SearchLimits {
  readonly statesMax: number;
  /** Promises that are not watched; a broken one ends only its branch. */
  readonly ignored?: ReadonlySet<PairPromise>;
}

/** What a search found. */
export interface SearchResult {
  readonly states: number;
  /** Events on the longest story that was tried to its end. */
  readonly depth: number;
  /** Nothing was left to try. */
  readonly isComplete: boolean;
  readonly broken?: { readonly promise: PairPromise; readonly story: string };
}

interface Visit {
  readonly pair: Pair;
  readonly depth: number;
  readonly event: string;
  readonly from: Visit | undefined;
}

/** Search from `start`, breadth first. */
export function search(
  start: Pair,
  where: Circumstances,
  limits: SearchLimits,
): SearchResult {
  const seen = new Set([keyOf(start)]);
  const queue: Visit[] = [
    { pair: start, depth: 0, event: "start", from: undefined },
  ];
  let depth = 0;
  for (let at = 0; at < queue.length; at += 1) {
    const visit = queue[at];
    if (visit === undefined) break;
    depth = visit.depth;
    if (seen.size >= limits.statesMax) {
      return { states: seen.size, depth, isComplete: false };
    }
    for (const { name, run } of eventsOf(visit.pair, where)) {
      const next = { depth: depth + 1, event: name, from: visit };
      try {
        const pair = run();
        const key = keyOf(pair);
        if (seen.has(key)) continue;
        seen.add(key);
        queue.push({ ...next, pair });
      } catch (error) {
        if (!(error instanceof Broken)) throw error;
        if (limits.ignored?.has(error.promise)) continue;
        const story = storyOf({ ...next, pair: visit.pair }, error);
        const broken = { promise: error.promise, story };
        return { states: seen.size, depth, isComplete: false, broken };
      }
    }
  }
  return { states: seen.size, depth, isComplete: true };
}

function storyOf(last: Visit, error: Broken): string {
  const events: string[] = [];
  for (let at: Visit | undefined = last; at !== undefined; at = at.from) {
    events.unshift(at.event);
  }
  return `${events.join(" · ")} → ${error.message}`;
}

/** One text per state, the same for states that differ in names only. */
export function keyOf(pair: Pair): string {
  const one = sideKey(pair, 0);
  const other = sideKey(pair, 1);
  return one < other ? one : other;
}

/** The pair as seen from one node: that node first. */
function sideKey(pair: Pair, first: Side): string {
  const names = new Names(pair.answered);
  const ordered = first === 0 ? pair.nodes : [...pair.nodes].reverse();
  const parts = ordered.map((node) => nodeKey(node, names));
  const lineages = pair.nodes[0].blocks.map((_, block) =>
    lineageKey(ordered.map((node) => node.blocks[block] ?? []), names)
  );
  return `${parts.join("|")}|${lineages}|${linkKey(pair, first, names)}`;
}

function nodeKey(node: PairNode, names: Names): string {
  const { set } = node;
  const { isUp, isPrimary, crashedPrimary, isDetached } = node;
  const flags = [isUp, isPrimary, crashedPrimary, isDetached]
    .map(Number).join("");
  const generations = [set.current, set.bitmap, ...set.history]
    .map((each) => names.generation(each));
  const { disk, bits, savedBits, log } = node;
  const shared = node.mayBeShared ? "s" : "";
  return `${flags}${
    disk.slice(0, 1)
  }${generations} ${bits}${savedBits}${log}${shared}`;
}

/** Of a common past only the last write matters. */
function lineageKey(
  lineages: readonly (readonly number[])[],
  names: Names,
): string {
  const [a = [], b = []] = lineages;
  let common = 0;
  while (common < a.length && a[common] === b[common]) common += 1;
  const from = Math.max(common - 1, 0);
  return lineages.map((each) =>
    each.slice(from).map((write) => names.write(write)).join(".")
  ).join("/");
}

function linkKey({ link }: Pair, first: Side, names: Names): string {
  if (!("from" in link)) return link.phase;
  const { told } = link;
  const sets = [told.current, told.bitmap, ...told.history]
    .map((each) => names.generation(each));
  return `${link.phase}${link.from === first ? "<" : ">"}${sets}`;
}

/** Names in order of appearance. */
class Names {
  readonly #generations = new Map<bigint, number>();
  readonly #writes = new Map<number, number>();
  readonly #answered: ReadonlySet<number>;

  constructor(answered: ReadonlySet<number>) {
    this.#answered = answered;
  }

  generation(value: bigint): string {
    if (value === 0n) return "0";
    const name = (value & BASE_MASK) >> 1n;
    const number = this.#generations.get(name) ?? this.#generations.size + 1;
    this.#generations.set(name, number);
    const created = name === 2n ? "c" : "";
    return `${created}${number}+${value >> 48n}${value & 1n}`;
  }

  write(value: number): string {
    const number = this.#writes.get(value) ?? this.#writes.size;
    this.#writes.set(value, number);
    return this.#answered.has(value) ? `${number}a` : `${number}`;
  }
}
