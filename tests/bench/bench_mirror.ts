/**
 * Bench of the block export and the mirror: `deno task bench:mirror [--quick]`.
 *
 * Local export, then protocols A, B and C between two daemons over loopback,
 * against nbdkit, qemu-nbd and QEMU's replicated arrangements, in turns; then
 * resyncs. Files in memory compare the programs, files on the disk add what
 * durability costs. The full run writes `tests/bench/MIRROR.md`.
 *
 * @module
 */

import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import {
  diskDir,
  fileSystemOf,
  type MachineLimits,
  memoryDir,
  Yardsticks,
} from "./mirror_limits.ts";
import { startPair } from "./mirror_pair.ts";
import { startQemuPair } from "./mirror_peers.ts";
import { mirrorPage } from "./mirror_report.ts";
import {
  measureLoadedResync,
  measureResyncs,
  type ResyncFigures,
  type ResyncRound,
} from "./mirror_resync.ts";
import { pairTargets, type Place, resyncTargets } from "./mirror_targets.ts";
import {
  measureAll,
  NBD_LOADS,
  type NbdLoad,
  type NbdRow,
  type NbdSubject,
} from "./nbd_load.ts";
import { benchNbdLocal, nbdTable } from "./nbd_local.ts";
import { writePage } from "./page.ts";
import type { Target } from "./report.ts";

const MIB = 1024 * 1024;

/** How much to measure. */
interface Plan {
  readonly rounds: number;
  readonly durationMs: number;
  readonly imageBytes: number;
  readonly resyncBytes: number;
  readonly resyncRounds: number;
}

const FULL: Plan = {
  rounds: 3,
  durationMs: 300,
  imageBytes: 256 * MIB,
  resyncBytes: 1024 * MIB,
  resyncRounds: 9,
};
const QUICK: Plan = {
  rounds: 1,
  durationMs: 400,
  imageBytes: 128 * MIB,
  resyncBytes: 512 * MIB,
  resyncRounds: 3,
};

/** What was measured where the files lie in one place. */
export interface PlaceFound {
  readonly place: Place;
  readonly fileSystem: string;
  readonly limits: MachineLimits;
  readonly rows: readonly NbdRow[];
  readonly resync: {
    readonly first: ResyncFigures;
    readonly rounds: readonly ResyncRound[];
    readonly loaded: ResyncFigures & { readonly latestReplyMs: number };
  };
  readonly targets: readonly Target[];
  readonly absent: readonly string[];
}

async function measurePlace(
  place: Place,
  dir: string,
  plan: Plan,
): Promise<PlaceFound> {
  await using scope = new Scope();
  const yardsticks = await Yardsticks.open(scope, dir, plan.resyncBytes);
  const limits = await yardsticks.measure();
  const { rows, absent } = await measurePairs(place, dir, plan);
  const disk = { dir, imageBytes: plan.resyncBytes };
  const resync = {
    ...await measureResyncs(disk, plan.resyncRounds, yardsticks),
    loaded: await measureLoadedResync(disk),
  };
  const targets = [
    ...pairTargets({ place, rows, limits }),
    ...resyncTargets(place, resync),
  ];
  const fileSystem = await fileSystemOf(dir);
  return { place, fileSystem, limits, rows, resync, targets, absent };
}

async function measurePairs(place: Place, dir: string, plan: Plan) {
  await using scope = new Scope();
  const { imageBytes } = plan;
  const subjects: NbdSubject[] = [];
  const absent: string[] = [];
  const alone = await startPair(scope, {
    protocol: "C",
    dir,
    imageBytes,
    isAlone: true,
  });
  subjects.push({
    name: "kedge alone",
    uri: alone.uri,
    pids: [alone.a.child.pid],
  });
  for (const protocol of ["A", "B", "C"] as const) {
    const pair = await startPair(scope, { protocol, dir, imageBytes });
    const { uri, pids } = pair;
    subjects.push({ name: `kedge ${protocol}`, uri, pids });
  }
  for (const mode of ["mirror", "quorum"] as const) {
    const subject = await startQemuPair(scope, mode, { dir, imageBytes });
    if (subject === undefined) absent.push(`qemu ${mode}`);
    else subjects.push(subject);
  }
  const loads = NBD_LOADS.filter((load) => isWanted(load, place));
  return { rows: await measureAll(subjects, loads, plan), absent };
}

/** Reads do not leave the node: they are the same wherever the peer writes. */
function isWanted({ rw }: NbdLoad, place: Place): boolean {
  return place === "memory" || rw === "randwrite" || rw === "write";
}

if (import.meta.main) {
  const isQuick = Deno.args.includes("--quick");
  const plan = isQuick ? QUICK : FULL;
  await using scope = new Scope();
  const local = await benchNbdLocal(plan);
  say(nbdTable(local.rows));
  const places = [];
  for (const place of ["memory", "disk"] as const) {
    const dir = place === "memory" ? await memoryDir() : await diskDir(scope);
    const found = await measurePlace(place, dir, plan);
    say(`\n${place}\n${nbdTable(found.rows)}`);
    places.push(found);
  }
  for (const { targets } of [local, ...places]) {
    for (const { what, wanted, measured, isMet } of targets) {
      const word = isMet === undefined ? "–     " : isMet ? "met   " : "MISSED";
      say(`${word} ${what}: ${measured} (${wanted})`);
    }
  }
  if (!isQuick) {
    await writePage("MIRROR.md", await mirrorPage(local, places));
  }
}
