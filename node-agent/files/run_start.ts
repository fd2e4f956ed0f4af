/**
 * What happens to a database before the first batch: whose it is, which run of
 * the log this is, what a crash left behind.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import { isJournal } from "./body_journal_core.ts";
import {
  describeError,
  exists,
  flushContentSync,
  flushSync,
  removeSync,
} from "./disk.ts";
import { FLUSHED_KEY } from "./early_flushes.ts";
import type { Finisher } from "./finisher.ts";
import type { Layout } from "./layout.ts";
import { replayQuickLog } from "./quick_replay.ts";
import type { WriteStatements } from "./statements.ts";
import { warn } from "./worker_voice.ts";
import type { PathState, WorkerOptions } from "./worker_messages.ts";

/** A run of the log. */
export interface RunStart {
  /** Identity of the database. */
  readonly store: string;
  /**
   * A new one with every start: nobody here can know that the database is not
   * an older copy, whose next numbers were used already (promises F7).
   */
  readonly incarnation: number;
  /** Digests that a clean end saved. */
  readonly digests: string | undefined;
  /** This start, and those before it. */
  readonly run: RunIdentity;
  /** Actions of the run before up to this one were flushed. */
  readonly flushedTo: number;
}

/**
 * Which starts led to this state of the database. A tracker that heard of
 * another one since knows that the database was set back to an older copy.
 */
export interface RunIdentity {
  /** Made anew with every start. */
  readonly id: string;
  /** The last start that a tracker heard of, and all starts since. */
  readonly former: readonly string[];
}

/** Key of the starts in the state table. */
export const RUNS_KEY = "runs";

/** Starts without a tracker that are remembered. */
const FORMER_RUNS_MAX = 31;

/**
 * Begin a run; durable when it returns.
 *
 * @throws {Problem} `invalid-request` when the database is another node's.
 */
export function beginRun(
  layout: Layout,
  statements: WriteStatements,
  options: WorkerOptions,
): RunStart {
  const { node, group, newStore, newIncarnation, newRun } = options;
  replayQuickLog(layout, statements);
  const get = (key: string) => statements.state.get({ key })?.value;
  const put = (key: string, value: string | number) =>
    statements.putState.run({ key, value: String(value) });
  statements.begin();
  const store = get("store");
  if (store === undefined) {
    put("store", newStore);
    put("node", node);
    put("group", group);
  } else {
    const owner = `node ${get("node")} of ${get("group")}`;
    if (owner !== `node ${node} of ${group}`) {
      throw new Problem(
        "invalid-request",
        `This database belongs to ${owner}, not to node ${node} of ${group}`,
      );
    }
  }
  const last = Number(get("incarnation"));
  const incarnation = store === undefined
    ? newIncarnation
    : Math.max(last + options.incarnationStep, newIncarnation);
  const digests = get("digests");
  put("incarnation", incarnation);
  put("clean", 0);
  const former = formerRuns(get(RUNS_KEY));
  put(RUNS_KEY, JSON.stringify([...former, newRun]));
  statements.dropState.run({ key: "digests" });
  const flushedTo = Number(get(FLUSHED_KEY) ?? 0);
  statements.commit();
  const run = { id: newRun, former };
  const own = store ?? newStore;
  return { store: own, incarnation, digests, run, flushedTo };
}

/** The first is the one that a tracker heard of: it is never dropped. */
function formerRuns(saved: string | undefined): string[] {
  const runs: unknown = JSON.parse(saved ?? "[]");
  const known = Array.isArray(runs) ? runs.map(String) : [];
  return [...known.slice(0, 1), ...known.slice(1).slice(1 - FORMER_RUNS_MAX)];
}

/** What {@linkcode flushJournals} works with. */
export interface FlushParts {
  readonly layout: Layout;
  readonly finisher: Pick<Finisher, "tokens">;
  /** Whether a store path takes bytes. */
  readonly mayWrite: (pathIndex: number) => boolean;
  /** A store path takes no more bytes. */
  readonly fence: (pathIndex: number, reason: string) => void;
}

/**
 * Flush the journals of earlier runs: one that was killed did not, and its
 * records are stable from this start on.
 */
export function flushJournals(
  { layout, finisher, mayWrite, fence }: FlushParts,
): void {
  for (let index = 0; index < layout.pathCount; index++) {
    const names = [...finisher.tokens(index)].filter(isJournal);
    if (names.length === 0 || !mayWrite(index)) continue;
    try {
      for (const name of names) {
        const path = layout.staged(index, name);
        if (exists(path)) flushContentSync(path);
      }
      flushSync(layout.staging(index));
    } catch (error) {
      fence(index, `flush of a journal: ${describeError(error)}`);
    }
  }
}

/** Staging files that no record names are of nobody. */
export function sweepStaging(
  layout: Layout,
  paths: readonly PathState[],
  finisher: Finisher,
): void {
  paths.forEach(({ state }, index) => {
    if (state !== "writable") return;
    const needed = finisher.tokens(index);
    for (const { name } of Deno.readDirSync(layout.staging(index))) {
      if (!needed.has(name)) removeSync(layout.staged(index, name));
    }
  });
}

/** What a crash destroyed is known in the index, and repaired from peers. */
export function markDamaged(
  statements: WriteStatements,
  ids: readonly string[],
): void {
  for (const id of ids) {
    const row = statements.file.get({ id });
    if (row === undefined) continue;
    statements.markFile.run({ ...row, damaged: 1 });
    warn("a file could not be completed after a crash", { id });
  }
}
