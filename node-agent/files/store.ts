/**
 * Opens the local store of a node: files, index and change log.
 *
 * @module
 */

import { randomBytes, randomInt, randomUUID } from "node:crypto";
import { FLUSH_DELAY_MS, type NodeId } from "@kedge/schema";
import type { Reserve } from "@kedge/schema/config/units";
import type { Clock, Log } from "../ports.ts";
import { StoredLog } from "./change_log.ts";
import { NAMES_AFTER_KEY } from "./committer.ts";
import { openForReading } from "./database.ts";
import { Editor } from "./editor.ts";
import { Edits } from "./edits.ts";
import { Layout } from "./layout.ts";
import { KEY_LIFE_MS, StoredFiles, type StoreParts } from "./local_files.ts";
import { Linker } from "./linker.ts";
import { LocalIndex } from "./local_index.ts";
import { describeError, makeDurableDir } from "./disk.ts";
import { lockDataDir } from "./lock.ts";
import { PackedReader } from "./packed_reader.ts";
import { Pump } from "./pump.ts";
import { StoreNews } from "./store_news.ts";
import { EarlyFiles, type EarlyLimits } from "./early_files.ts";
import { QuickLog } from "./quick_log.ts";
import { Reader } from "./reader.ts";
import { RowCache } from "./row_cache.ts";
import { type PathOpened, PathOpener } from "./path_opener.ts";
import { Refills } from "./refills.ts";
import { type RunIdentity, RUNS_KEY } from "./run_start.ts";
import { Scrubber, type ScrubOptions } from "./scrubber.ts";
import { SegmentReads } from "./segment_statements.ts";
import { SlowDisks } from "./slow_disks.ts";
import { Stager } from "./stager.ts";
import { ReadStatements } from "./statements.ts";
import { StorePaths } from "./store_paths.ts";
import { Strangers } from "./strangers.ts";

/**
 * Age at which a file is flushed and its copy in the database dropped. Linux
 * writes files back by itself after 30 to 35 s, and ext4 commits 5 s later: from
 * then on a flush finds nothing to write and costs half.
 */
const SETTLE_DELAY_MS = 45_000;
/** Space kept back for deletes. Source: promises.md F14. */
const RESERVE_FILE_BYTES = 64 << 20;
/** WAL bytes, roughly, after which it is moved into the database. */
const CHECKPOINT_BYTES = 16 << 20;
/** Numbers of one millisecond, and the last one: they stay safe integers. */
const INCARNATIONS_PER_MS = 2 ** 10;
const INCARNATION_MS_MAX = 2 ** 42;
/** Largest step to the next incarnation; see `ChangeLog.incarnation`. */
const INCARNATION_STEP_MAX = 2 ** 20;
/** Length from which the next segment is begun. */
const SEGMENT_BYTES = 64 << 20;
/** Rows of the index kept in memory. */
const ROWS_KEPT = 20_000;

/** What {@linkcode openStore} needs. */
export interface StoreOptions {
  /** Folder of the database; made when missing. */
  readonly dataDir: string;
  /** Folders of `M00`, `M01`, …; made when new. */
  readonly storePaths: readonly string[];
  /** This node's number. */
  readonly node: NodeId;
  /** Its group. */
  readonly group: string;
  /** Folders per level, 1 to 256. */
  readonly subdirCount?: number;
  /** How files are spread over folders. */
  readonly distributeMode?: "rotate" | "random";
  /** Files in one folder before `rotate` takes the next. */
  readonly rotateCount?: number;
  /** Keep equal bytes once per store path. */
  readonly checkDuplicates?: boolean;
  /** Largest file that is packed with others, in bytes; 0 packs none. */
  readonly smallFileMax?: number;
  /** For tests: length from which the next segment is begun, in bytes. */
  readonly segmentBytes?: number;
  /** For tests: free pages of the database that are left alone. */
  readonly freePagesMin?: number;
  /** Flush a large body each time this many bytes of it were written. */
  readonly fsyncAfterBytes?: number;
  /** Space kept free on every store path. */
  readonly reserve: Reserve;
  /** Identity for a database that has to be made; random by default. */
  readonly newStore?: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Called once, when the log can no longer be written. */
  readonly onFailed?: ((why: string) => void) | undefined;
  /** A random 32-bit number; from the system by default. */
  readonly random?: () => number;
  /** For tests. */
  readonly settleDelayMs?: number;
  /** Whether another program, such as nginx, looks at the files. */
  readonly isShared?: boolean;
  /** For tests; see `early_files.ts`. */
  readonly early?: EarlyLimits;
  /** For tests; 64 MiB by default. */
  readonly reserveFileBytes?: number;
  /** For tests: log bytes after which it is moved into the database. */
  readonly checkpointBytes?: number;
}

/** What another program that reads the files has to know. */
export interface SharedFiles {
  /** Folders with the files of `M00`, `M01`, …, as they were given. */
  readonly folders: readonly string[];
  /**
   * Whether a disk takes changes, deletes among them, and has no files but
   * ours.
   */
  takesChanges(pathIndex: number): boolean;
  /** Files whose copy here is missing or wrong. */
  damaged(limit: number): readonly { readonly id: string }[];
  /** Be told at once when a disk begins or ends to take changes. */
  onChange(act: () => void): void;
}

/** An open store. */
export interface Store {
  /** Files, for `http/`. */
  readonly files: StoredFiles;
  /** Log and index, for `sync/`. */
  readonly log: StoredLog;
  /** Flush all files older than this now and drop their copies. */
  settle(minAgeMs: number): Promise<void>;
  /**
   * Pack new files up to this size from now on; 0 packs none. Those that are
   * stored, or wait to be packed, stay as they are.
   */
  pack(sizeBytesMax: number): Promise<void>;
  /** A scrubber over this store; the caller decides when it runs. */
  scrubber(options: ScrubOptions): Scrubber;
  /**
   * Operator: this store path was mended or replaced; take bytes again. It is
   * tried first; a new, empty one is filled from the group.
   *
   * @throws {Problem} `invalid-request`, or `read-only` when it still fails.
   */
  openPath(pathIndex: number): Promise<PathOpened>;
  /** Files that lie on the disk of a store path already, for imports. */
  readonly linker: Linker;
  /** For another program that reads the files. */
  readonly shared: SharedFiles;
  /** This start, and those before it. */
  readonly run: RunIdentity;
  /** A tracker heard of this start: those before are not needed any more. */
  runHeard(): Promise<void>;
  /** Stop. A clean stop leaves nothing to be done at the next start. */
  close(options: { readonly clean: boolean }): Promise<void>;
}

/**
 * Open the store of a node; finishes what a crash interrupted.
 *
 * @throws {Problem} `already-exists` when another agent uses the folder,
 * `invalid-request` when the database is another node's, `read-only` when it
 * cannot be opened.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const layout = new Layout(options.dataDir, options.storePaths);
  makeDurableDir(options.dataDir);
  const lock = lockDataDir(layout.lock);
  try {
    return await openLocked(options, layout, lock);
  } catch (error) {
    lock.close();
    throw error;
  }
}

async function openLocked(
  options: StoreOptions,
  layout: Layout,
  lock: Deno.FsFile,
): Promise<Store> {
  const { clock, log } = options;
  const alarms = new Set<string>();
  const news = new StoreNews(log);
  const pump = new Pump((message) => news.hear(message));
  pump.onFailed = options.onFailed;
  const opened = await pump.open({
    dataDir: options.dataDir,
    storePaths: options.storePaths,
    node: options.node,
    group: options.group,
    newStore: options.newStore ?? randomUUID(),
    // Beyond every number that this node ever used, if the clock is right; if
    // not, the random step keeps numbers apart all the same.
    newIncarnation: INCARNATIONS_PER_MS * incarnationMs(clock) +
      randomInt(INCARNATIONS_PER_MS),
    incarnationStep: randomInt(1, INCARNATION_STEP_MAX),
    newRun: randomUUID(),
    settleDelayMs: options.settleDelayMs ?? SETTLE_DELAY_MS,
    flushDelayMs: FLUSH_DELAY_MS,
    keyLifeMs: KEY_LIFE_MS,
    checkpointBytes: options.checkpointBytes ?? CHECKPOINT_BYTES,
    reserveFileBytes: options.reserveFileBytes ?? RESERVE_FILE_BYTES,
    checkDuplicates: options.checkDuplicates ?? false,
    isShared: options.isShared ?? false,
    smallFileMax: options.smallFileMax ?? 0,
    segmentBytes: options.segmentBytes ?? SEGMENT_BYTES,
    freePagesMin: options.freePagesMin,
  });
  const database = openForReading(layout.database);
  const index = new LocalIndex(
    database,
    new ReadStatements(database),
    new RowCache(ROWS_KEPT),
  );
  const disks = new SlowDisks(() => clock.monotonicMs());
  disks.workerBusyMs = () => pump.busyMs;
  index.rows.hurry = () => pump.hurry();
  const { statements } = index;
  const segments = new SegmentReads(database);
  const packed = new PackedReader(
    { layout, statements, segments, disks },
    opened.hasPacked,
  );
  const { reserve } = options;
  const paths = new StorePaths(layout, opened.paths, { reserve, clock });
  news.paths = paths;
  const refills = new Refills(index.statements, clock);
  paths.refills = refills;
  const onFence = (pathIndex: number, reason: string) => {
    if (!paths.isWritable(pathIndex)) return;
    paths.set(pathIndex, { state: "fenced", reason });
    log.warn("a store path is fenced after an I/O error", {
      pathIndex,
      reason,
    });
    pump.store(() => ({ kind: "fence", pathIndex, reason }), [], true)
      .catch(() => {});
  };
  const stager = new Stager(
    layout,
    paths,
    onFence,
    options.fsyncAfterBytes,
  );
  stager.disks = disks;
  const editor = new Editor(layout, paths, stager, onFence);
  const edits = new Edits(editor, stager);
  const quick = new QuickLog({
    path: layout.quickLog,
    stored: [
      {
        origin: options.node,
        incarnation: opened.incarnation,
        sequence: opened.head,
      },
      ...index.statements.positions.all({}),
    ],
    workerBusyMs: () => pump.busyMs,
    nowMs: () => clock.monotonicMs(),
    onFailed: (error) =>
      log.warn("records wait for the database from now on", {
        why: `${layout.quickLog}: ${describeError(error)}`,
      }),
  });
  let packedBytesMax = options.smallFileMax ?? 0;
  const early = new EarlyFiles({
    layout,
    paths,
    disks,
    onFence,
    // Equal bytes are looked for before a small file is written.
    packedBytesMax: () => options.checkDuplicates ? Infinity : packedBytesMax,
    limits: options.early,
  });
  news.early = early;
  const keep = async () => {
    quick.stop();
    try {
      await early.keep();
    } finally {
      await quick.keep();
    }
  };
  let kept = Promise.resolve();
  pump.onFailed = (why) => {
    kept = keep().catch((error) =>
      log.warn("what was answered last may not outlive a loss of power", {
        why: `${layout.quickLog}: ${describeError(error)}`,
      })
    );
    options.onFailed?.(why);
  };
  const parts: StoreParts = {
    layout,
    index,
    packed,
    paths,
    pump,
    quick,
    early,
    stager,
    reader: new Reader(() => clock.monotonicMs(), disks),
    editor,
    edits,
    clock,
    random: options.random ?? (() => randomBytes(4).readUInt32LE()),
    alarms,
    isDatabaseFull: () => news.isDatabaseFull,
  };
  const { state } = index.statements;
  const files = new StoredFiles(parts, {
    node: options.node,
    group: options.group,
    subdirCount: options.subdirCount ?? 256,
    distributeMode: options.distributeMode ?? "rotate",
    rotateCount: options.rotateCount ?? 100,
    placed: Number(state.get({ key: "placed" })?.value ?? 0),
    namesAfterS: Number(state.get({ key: NAMES_AFTER_KEY })?.value ?? 0),
  });
  const pathCount = options.storePaths.length;
  const strangers = new Strangers(index.statements, pump, pathCount);
  const opener = new PathOpener(opened.store, {
    strangers,
    layout,
    index,
    paths,
    pump,
    refills,
  });
  const saved = state.get({ key: "register" })?.value;
  const changes = new StoredLog(parts, files, {
    node: options.node,
    group: options.group,
    opened,
    register: saved === undefined ? undefined : JSON.parse(saved),
  });
  return {
    files,
    log: changes,
    async settle(minAgeMs) {
      await changes.settled();
      await pump.settle(minAgeMs);
    },
    pack: (sizeBytesMax) => {
      // Before the first file is packed.
      if (sizeBytesMax > 0) packed.isOn = true;
      packedBytesMax = sizeBytesMax;
      return pump.pack(sizeBytesMax);
    },
    shared: {
      folders: options.storePaths.map((_, index) => layout.data(index)),
      takesChanges: (pathIndex) =>
        paths.isWritable(pathIndex) && !strangers.mayBeOn(pathIndex),
      damaged: (limit) => index.damaged(limit),
      onChange: (act) => paths.onChange = act,
    },
    run: opened.run,
    async runHeard() {
      const value = JSON.stringify([opened.run.id]);
      await pump.store(
        () => ({ kind: "state", key: RUNS_KEY, value }),
        [],
        false,
      );
    },
    scrubber: (how) => new Scrubber({ ...parts, log }, how),
    openPath: (pathIndex) => opener.open(pathIndex),
    linker: new Linker(parts, opener),
    async close({ clean }) {
      quick.stop(); // from here on answers wait for the database
      if (clean && pump.failure === undefined) {
        const value = String(files.placed);
        await changes.flush();
        await pump
          .store(() => ({ kind: "state", key: "placed", value }), [], true);
      }
      await kept;
      quick.close();
      await pump.close(clean);
      index.close();
      lock.close();
    },
  };
}

/** The wall clock, which may say anything, within bounds. */
function incarnationMs(clock: Clock): number {
  const nowMs = Math.floor(clock.wallMs());
  return Math.min(Math.max(1, nowMs), INCARNATION_MS_MAX);
}
