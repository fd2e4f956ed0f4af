/**
 * Runs imports and exports for operators, one at a time.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import { hexByte } from "@kedge/schema/file-id";
import type {
  ExportRequest,
  ImportRequest,
  MigrationRequest,
  MigrationView,
} from "@kedge/schema/migration";
import type {
  FileKeeper,
  FileOperations,
  LinkingStore,
} from "../operation_ports.ts";
import type { Clock, LocalFiles, Log } from "../ports.ts";
import { Exporter } from "./exporter.ts";
import { Importer } from "./importer.ts";
import { Pace } from "./pace.ts";
import { Progress } from "./progress.ts";
import { newReport } from "./reports.ts";
import { shortText } from "./source_span.ts";
import { SourceTree } from "./source_tree.ts";

/** What the desk works with. */
export interface MigrationParts {
  readonly keeper: FileKeeper;
  readonly store: LinkingStore;
  readonly files: Pick<LocalFiles, "list">;
  readonly operations: Pick<FileOperations, "read">;
  readonly clock: Clock;
  readonly log: Log;
  /** Folder for reports. */
  readonly reportDir: string;
  /** Store paths of this node. */
  readonly storePaths: readonly string[];
}

/** Longest number of a process in a file, in bytes. */
const PID_BYTES_MAX = 64;
/** Marks a folder that an export makes. */
const EXPORT_MARK = ".kedge-export";

/** A run that goes on or has ended. */
interface Run {
  readonly progress: Progress;
  readonly stop: AbortController;
  ended: Promise<void>;
}

/** One at a time; the last one is remembered. */
export class MigrationDesk {
  readonly #parts: MigrationParts;
  #run: Run | undefined;

  /** Nothing runs. */
  constructor(parts: MigrationParts) {
    this.#parts = parts;
  }

  /**
   * Begin.
   *
   * @throws {Problem} `already-exists` while one runs; `invalid-request`.
   */
  async start(request: MigrationRequest): Promise<MigrationView> {
    this.#checkIdle();
    const { clock, log } = this.#parts;
    const stop = new AbortController();
    const { progress, work } = await this.#prepare(request, stop.signal);
    this.#checkIdle();
    const run: Run = { progress, stop, ended: Promise.resolve() };
    this.#run = run;
    const name = `an ${request.kind}`;
    log.info(`${name} begins`, { request });
    run.ended = work().then(() => progress.end("done"), async (error) => {
      const isStopped = stop.signal.aborted;
      const why = error instanceof Error ? error.message : String(error);
      await progress.end(
        isStopped ? "stopped" : "failed",
        isStopped ? undefined : why,
      );
    }).then(() => {
      const { state, why, damaged, skipped } = progress.view(0);
      const facts = { state, why, damaged, skipped, atMs: clock.wallMs() };
      log.info(`${name} ended`, facts);
    });
    return progress.view(0);
  }

  #checkIdle(): void {
    if (this.#run?.progress.isRunning !== true) return;
    throw new Problem(
      "already-exists",
      "An import or export runs on this node: `kedge import status`",
    );
  }

  /** How far it is; `null` when there was none since the start. */
  view(offset: number): MigrationView | null {
    return this.#run?.progress.view(offset) ?? null;
  }

  /** Stop what runs; what was done stays. */
  async stop(): Promise<MigrationView | null> {
    this.#run?.stop.abort(new Error("it was stopped"));
    await this.#run?.ended;
    return this.view(0);
  }

  async #prepare(request: MigrationRequest, signal: AbortSignal) {
    const { clock, reportDir, keeper: { group } } = this.#parts;
    const work = request.kind === "import"
      ? await this.#importer(request)
      : await this.#exporter(request);
    const report = await newReport(reportDir, request.kind, clock.wallMs());
    const progress = new Progress(request, { group, report }, clock);
    const pace = new Pace(clock, request.bytesPerS, signal);
    return { progress, work: () => work({ progress, pace }) };
  }

  async #importer(request: ImportRequest) {
    const { keeper, store, storePaths, clock } = this.#parts;
    if (request.group !== null && request.group !== keeper.group) {
      throw new Problem(
        "invalid-request",
        `This node is of ${keeper.group}, the files are of ${request.group}: ` +
          "import them on a node of a group with that name (kedge group create)",
      );
    }
    const given = request.storePaths;
    const roots = given.length === 0 ? [request.base] : given;
    const tree = new SourceTree(keeper.group, roots);
    if (request.mode === "in-place" && !request.dryRun) {
      await checkStopped(request.base);
      for (let index = 0; index < tree.pathCount; index++) {
        this.#checkOwn(tree, index);
      }
      for (let index = 0; index < tree.pathCount; index++) {
        await store.takeOver(index);
      }
    }
    const nowS = () => Math.floor(clock.wallMs() / 1000);
    const pathCount = storePaths.length;
    return async (how: { progress: Progress; pace: Pace }) => {
      const parts = { keeper, store, tree, pathCount, nowS, ...how };
      await new Importer(request, parts).run();
      if (request.mode !== "in-place" || request.dryRun) return;
      const { damaged, skipped } = how.progress.view(0);
      if (damaged + skipped > 0) return;
      for (let index = 0; index < tree.pathCount; index++) {
        await store.allTaken(index);
      }
    };
  }

  /** In place: its `M00` must be ours. */
  #checkOwn(tree: SourceTree, index: number): void {
    const ours = this.#parts.storePaths[index];
    const name = `M${hexByte(index)}`;
    if (ours !== undefined && realPath(`${ours}/data`) === tree.data(index)) {
      return;
    }
    throw new Problem(
      "invalid-request",
      `In place, ${name} of FastDFS must be ${name} of this node, which is ` +
        `${ours ?? "not there"}: start the agent with its store paths, or ` +
        "use --link",
    );
  }

  async #exporter({ to }: ExportRequest) {
    const { files, operations, clock, storePaths } = this.#parts;
    const isRepeat = await prepareFolder(to, storePaths);
    const nowS = () => Math.floor(clock.wallMs() / 1000);
    const parts = { files, operations, nowS, isRepeat };
    return (how: { progress: Progress; pace: Pace }) =>
      new Exporter(to, { ...parts, ...how }).run();
  }
}

/**
 * A folder that is new, empty, or an earlier export.
 *
 * @returns Whether it is an earlier export.
 */
async function prepareFolder(
  to: string,
  storePaths: readonly string[],
): Promise<boolean> {
  try {
    await Deno.mkdir(to, { recursive: true });
    const names = [...Deno.readDirSync(to)].map(({ name }) => name);
    const real = await Deno.realPath(to);
    for (const path of storePaths) {
      if (real === realPath(path)) {
        throw new Error("it is a store path of ours");
      }
    }
    if (names.length > 0 && !names.includes(EXPORT_MARK)) {
      throw new Error("it is not empty, and no export that broke off");
    }
    await Deno.writeTextFile(`${to}/${EXPORT_MARK}`, "");
    return names.length > 0;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Problem("invalid-request", `Cannot export to ${to}: ${why}`);
  }
}

function realPath(path: string): string | undefined {
  try {
    return Deno.realPathSync(path);
  } catch {
    return undefined;
  }
}

/** Two owners of the same files would change them under each other's hands. */
async function checkStopped(base: string): Promise<void> {
  let name: string;
  try {
    const path = `${base}/data/fdfs_storaged.pid`;
    const pid = Number(await shortText(path, PID_BYTES_MAX));
    if (!Number.isSafeInteger(pid) || pid <= 0) return;
    name = await Deno.readTextFile(`/proc/${pid}/comm`);
  } catch {
    return; // it does not run
  }
  if (!name.startsWith("fdfs_storaged")) return;
  throw new Problem(
    "invalid-request",
    "fdfs_storaged runs on these files: stop it, or import with --copy or --link",
  );
}
