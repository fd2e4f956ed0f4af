/**
 * The targets of the mirror's speed, judged by what a run has found.
 *
 * @module
 */

import type { MachineLimits } from "./mirror_limits.ts";
import type { ResyncRound } from "./mirror_resync.ts";
import type { NbdFigures, NbdLoad, NbdRow } from "./nbd_load.ts";
import { median, round, type Target } from "./report.ts";

/** Where files lie. */
export type Place = "memory" | "disk";

/** What the targets are judged by. */
export interface MirrorFound {
  readonly place: Place;
  readonly rows: readonly NbdRow[];
  readonly limits: MachineLimits;
}

/** Protocol B against QEMU's mirror, C against its quorum, flushes, depth 1. */
export function pairTargets(found: MirrorFound): Target[] {
  const { rows, place } = found;
  const write16 = { rw: "randwrite", depth: 16, flushEvery: 0 } as const;
  const flush1 = { rw: "randwrite", depth: 1, flushEvery: 1 } as const;
  return [
    ratio(rows, place, write16, { ours: "B", peer: "qemu mirror", wanted: 2 }),
    ratio(rows, place, write16, {
      ours: "C",
      peer: "qemu quorum",
      wanted: 1.5,
    }),
    ratio(rows, place, flush1, { ours: "C", peer: "qemu quorum", wanted: 1 }),
    ...place === "memory" ? [addedLatency(found)] : [],
  ];
}

/** Resync throughput, and the application during it. */
export function resyncTargets(
  place: Place,
  found: {
    readonly rounds: readonly ResyncRound[];
    readonly loaded: { readonly latestReplyMs: number };
  },
): Target[] {
  const shares = found.rounds.map((each) => each.bytesPerS / slower(each));
  const share = median(shares);
  const ofAll = (limit: (limits: MachineLimits) => number) =>
    round(median(
      found.rounds.map(({ bytesPerS, limits }) => bytesPerS / limit(limits)),
    ));
  const alone = ofAll((each) =>
    Math.min(each.diskBytesPerS, each.tcpBytesPerS)
  );
  const bare = ofAll((each) => each.bareCopyBytesPerS);
  const speed = median(found.rounds.map(({ bytesPerS }) => bytesPerS));
  const limit = median(found.rounds.map(slower));
  const { latestReplyMs } = found.loaded;
  return [
    {
      what: `resync (${place}) against the slower of disk and TCP`,
      wanted: "≥ 0.7 ×",
      measured: `${round(share)} × (${round(Math.min(...shares))} to ${
        round(Math.max(...shares))
      }; ${round(speed / 1e6)} of ${
        round(limit / 1e6)
      } MB/s; with a disk that is only written ${alone} ×; of a bare copy ${bare} ×)`,
      isMet: share >= 0.7,
    },
    {
      what: `latest reply to the application during a resync (${place})`,
      wanted: "≤ 1000 ms",
      measured: `${round(latestReplyMs)} ms`,
      isMet: latestReplyMs <= 1000,
    },
  ];
}

/** Both images are on one disk here: it is read and written at once. */
function slower({ limits }: ResyncRound): number {
  return Math.min(limits.sharedDiskBytesPerS, limits.tcpBytesPerS);
}

type Wanted = Pick<NbdLoad, "rw" | "depth" | "flushEvery">;

function ratio(
  rows: readonly NbdRow[],
  place: Place,
  load: Wanted,
  between: {
    readonly ours: string;
    readonly peer: string;
    readonly wanted: number;
  },
): Target {
  const { ours, peer, wanted } = between;
  const flush = load.flushEvery > 0 ? " + FLUSH" : "";
  const mine = find(rows, `kedge ${ours}`, load)?.iops;
  const theirs = find(rows, peer, load)?.iops;
  const value = (mine ?? NaN) / (theirs ?? NaN);
  return {
    what: `protocol ${ours} (${place}), 4 KiB ${load.rw}${flush}, ` +
      `depth ${load.depth}: IOPS against ${peer}`,
    wanted: `≥ ${wanted} ×`,
    measured: Number.isNaN(value) ? "not measured" : `${round(value)} ×`,
    isMet: Number.isNaN(value) ? undefined : value >= wanted,
  };
}

function addedLatency({ rows, limits, place }: MirrorFound): Target {
  const load = { rw: "randwrite", depth: 1, flushEvery: 0 } as const;
  const mirrored = find(rows, "kedge C", load)?.p50Us ?? NaN;
  const alone = find(rows, "kedge alone", load)?.p50Us ?? NaN;
  const added = mirrored - alone - limits.roundTripUs;
  return {
    what: `protocol C (${place}), depth 1: p50 beyond local + round trip`,
    wanted: "≤ 100 µs",
    measured: `${round(Math.max(0, added))} µs (${round(mirrored)} − ${
      round(alone)
    } − ${round(limits.roundTripUs)})`,
    isMet: added <= 100,
  };
}

function find(
  rows: readonly NbdRow[],
  subject: string,
  wanted: Wanted,
): NbdFigures | undefined {
  return rows.find(({ subject: name, load }) =>
    name === subject && load.rw === wanted.rw && load.depth === wanted.depth &&
    load.flushEvery === wanted.flushEvery
  )?.figures;
}
