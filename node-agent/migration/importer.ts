/**
 * Takes the files of a FastDFS storage in, each under the ID it has.
 *
 * There is no journal: what is here already is seen in the index, so a run that
 * was killed is simply run again, and a later run finds what came since.
 *
 * @module
 */

import { INLINE_BODY_BYTES_MAX } from "@kedge/schema";
import type { FileEntry, FileMeta } from "@kedge/schema/change";
import { hexByte } from "@kedge/schema/file-id";
import type { ImportRequest } from "@kedge/schema/migration";
import { readMetadata } from "@kedge/schema/wire/fastdfs";
import type { FileKeeper, Kept, LinkingStore } from "../operation_ports.ts";
import type { Staged } from "../ports.ts";
import { readBinlogs } from "./binlogs.ts";
import { FollowedDeletes } from "./followed_deletes.ts";
import { outcomeOf } from "./import_faults.ts";
import { type Item, itemOf, packedItem, slotKey } from "./import_items.ts";
import { Lanes } from "./lanes.ts";
import { pause } from "../turns.ts";
import type { Pace } from "./pace.ts";
import { type PackedFile, PackedNames, unnamedSlots } from "./packed_files.ts";
import type { Progress } from "./progress.ts";
import { SourceFault, SourceSpan } from "./source_span.ts";
import type { Oddity, SourceTree } from "./source_tree.ts";

/** Files under way at once: they share the flushes of the store. */
const FILES_AT_ONCE = 32;
/** Files looked at before others have a turn. */
const LOOKS_PER_TURN = 1000;
/** Longest metadata that FastDFS writes is far below this, in bytes. */
const META_BYTES_MAX = 1 << 18;
/** Refusals that pass, and how often they are waited for. */
const WAITS_MAX = 60;
const WAIT_MS = 500;

/** What an import works with. */
export interface ImporterParts {
  readonly keeper: FileKeeper;
  readonly store: LinkingStore;
  readonly tree: SourceTree;
  readonly pace: Pace;
  readonly progress: Progress;
  /** Store paths of this node. */
  readonly pathCount: number;
  /** Seconds since the Unix epoch. */
  readonly nowS: () => number;
}

/** One import. */
export class Importer {
  readonly #request: ImportRequest;
  readonly #parts: ImporterParts;
  readonly #lanes = new Lanes(FILES_AT_ONCE);
  /** Why nothing can be linked any more. */
  #cannotLink: string | undefined;

  /** Begin with {@linkcode run}. */
  constructor(request: ImportRequest, parts: ImporterParts) {
    this.#request = request;
    this.#parts = parts;
  }

  /** Do it. @throws When it cannot go on, or was stopped. */
  async run(): Promise<void> {
    const { keeper, tree, pace } = this.#parts;
    const { base, followDeletes, dryRun: isDryRun } = this.#request;
    const names = new PackedNames();
    const deletes = followDeletes
      ? new FollowedDeletes({ keeper, tree, pace, isDryRun })
      : undefined;
    const unreadable = await readBinlogs(base, (said) => {
      const id = `${keeper.group}/${said.name}`;
      names.note(said, id);
      deletes?.note(said, id);
    });
    for (const oddity of unreadable) this.#odd(oddity);
    const packed = names.inOrder();
    await this.#countAll(packed);
    try {
      await this.#takeAll(packed);
      // What cannot be read might say that a file was made again.
      if (unreadable.length === 0) await this.#followAll(deletes);
    } finally {
      await this.#lanes.settled();
    }
    await this.#lanes.end();
  }

  async #followAll(deletes: FollowedDeletes | undefined): Promise<void> {
    if (deletes === undefined) return;
    const { progress } = this.#parts;
    const kind = "deleted";
    const reason = "deleted-there";
    const detail = this.#request.dryRun
      ? "it was deleted in FastDFS, and would be here"
      : "it was deleted in FastDFS, and now here";
    for (const name of deletes.ids()) {
      await this.#lanes.run(() =>
        this.#attempt(name, async () => {
          if (!await deletes.follow(name)) return;
          progress.problem({ kind, reason, name, detail });
        })
      );
    }
  }

  async #takeAll(packed: readonly PackedFile[]): Promise<void> {
    const { tree, progress, pace } = this.#parts;
    progress.phase = "files";
    const named = new Set(packed.map(slotKey));
    for await (const folder of tree.folders()) {
      for (const oddity of folder.oddities) this.#odd(oddity);
      for (const file of folder.files) {
        await this.#lanes.run(() => this.#take(itemOf(file, this.#parts)));
      }
      for await (const odd of unnamedSlots(folder, named, pace)) this.#odd(odd);
    }
    progress.phase = "packed";
    for (const file of packed) {
      await this.#lanes.run(() => this.#take(packedItem(file, this.#parts)));
    }
  }

  /** So that people see how much there is. */
  async #countAll(packed: readonly PackedFile[]): Promise<void> {
    const { tree, progress, pace } = this.#parts;
    for await (const { files } of tree.folders()) {
      for (const { path } of files) {
        try {
          progress.bytesTotal += Deno.lstatSync(path).size;
        } catch {
          // It vanished; that is found again, and told, when it is its turn.
        }
        progress.filesTotal++;
        if (progress.filesTotal % LOOKS_PER_TURN === 0) await pause();
      }
      await pace.take(0);
    }
    for (const { parsed } of packed) {
      progress.bytesTotal += parsed.sizeBytes ?? 0;
      progress.filesTotal++;
    }
  }

  #odd({ reason, name, detail }: Oddity): void {
    this.#parts.progress.problem({ kind: "skipped", reason, name, detail });
  }

  /** One file, whatever becomes of it. */
  async #take(item: Item): Promise<void> {
    await this.#attempt(item.id, () => this.#tryTake(item));
    this.#parts.progress.filesDone++;
  }

  /** Again and again while the group refuses for a while. */
  async #attempt(name: string, work: () => Promise<void>): Promise<void> {
    const { progress, pace } = this.#parts;
    for (let waits = 0;; waits++) {
      try {
        await pace.take(0);
        return await work();
      } catch (error) {
        const outcome = outcomeOf(error);
        if (outcome.kind === "fatal") throw error;
        if (outcome.kind === "wait") {
          if (waits >= WAITS_MAX) throw error;
          await pace.rest(WAIT_MS);
          continue;
        }
        return progress.problem({ ...outcome, name });
      }
    }
  }

  async #tryTake(item: Item): Promise<void> {
    const { keeper, progress, nowS } = this.#parts;
    const { id, parsed } = item;
    const before = keeper.lookup(id);
    if (before?.state === "tombstone") throw refusalOf("deleted");
    if (parsed.createdS > nowS() + DAY_S && typeof parsed.origin === "number") {
      throw new SourceFault("of-the-future", "its ID was made in the future");
    }
    const { meta, fault } = await this.#meta(item);
    // What an earlier run could read is not thrown away.
    const kept = fault === undefined ? meta : before?.meta ?? meta;
    await this.#takeWith(item, before, kept);
    // The file is good without it; what is lost is told.
    if (fault !== undefined) {
      const { id: name } = item;
      const reason = "unreadable-metadata";
      progress.problem({ kind: "skipped", reason, name, detail: fault });
    }
  }

  async #takeWith(
    item: Item,
    before: FileEntry | undefined,
    meta: FileMeta,
  ): Promise<void> {
    const { keeper, progress } = this.#parts;
    const { id, parsed } = item;
    const isSettled = parsed.sizeBytes !== undefined;
    const isMetaSame = before !== undefined && isEqual(before.meta, meta);
    if (isMetaSame && isSettled) return this.#known(before.sizeBytes);
    using span = await item.open();
    const { sizeBytes } = span;
    if (isSettled && parsed.sizeBytes !== sizeBytes) {
      throw new SourceFault(
        "wrong-size",
        `it has ${sizeBytes} bytes, its ID says ${parsed.sizeBytes}`,
      );
    }
    keeper.checkSize(sizeBytes);
    if (isMetaSame && before.sizeBytes === sizeBytes) {
      if (await span.checksum() === before.crc32) {
        return this.#known(sizeBytes);
      }
    }
    if (this.#request.dryRun) {
      this.#checkSum(item, await span.checksum());
      this.#count(item, meta, sizeBytes);
      return;
    }
    const staged = await this.#stage(item, span);
    try {
      if (staged.sizeBytes !== sizeBytes) {
        throw new SourceFault("changed", "it changed while it was read");
      }
      this.#checkSum(item, staged.crc32);
    } catch (error) {
      await keeper.discard(staged);
      throw error;
    }
    const kept = await keeper.keep({ id, staged, meta });
    if (kept === "known") return this.#known(sizeBytes);
    if (kept !== "added" && kept !== "replaced") throw refusalOf(kept);
    if (kept === "replaced") progress.replaced++;
    this.#count(item, meta, sizeBytes);
  }

  #known(sizeBytes: number): void {
    this.#parts.progress.known++;
    this.#parts.progress.bytesDone += sizeBytes;
  }

  #count({ kind }: Item, meta: FileMeta, sizeBytes: number): void {
    const { progress } = this.#parts;
    progress.count(kind);
    progress.bytesDone += sizeBytes;
    if (Object.keys(meta).length > 0) progress.withMeta++;
  }

  #checkSum({ parsed }: Item, sum: number): void {
    if (parsed.sizeBytes === undefined || parsed.crc32 === sum) return;
    throw new SourceFault(
      "wrong-checksum",
      `its CRC-32 is ${hex(sum)}, its ID says ${hex(parsed.crc32)}`,
    );
  }

  async #meta(
    { metaPath }: Item,
  ): Promise<{ readonly meta: FileMeta; readonly fault?: string }> {
    if (metaPath === undefined) return { meta: {} };
    try {
      using span = await SourceSpan.open(metaPath, this.#parts.pace);
      if (span.sizeBytes > META_BYTES_MAX) throw new Error("it is too long");
      const meta = readMetadata(await span.whole());
      if (meta === undefined) throw new Error("it is not UTF-8");
      const fault = this.#parts.keeper.metaFault(meta);
      if (fault !== undefined) throw new Error(fault);
      return { meta };
    } catch (error) {
      this.#parts.pace.check();
      // Removed just now.
      if (error instanceof Deno.errors.NotFound) return { meta: {} };
      const why = error instanceof Error ? error.message : String(error);
      return { meta: {}, fault: `its metadata is left out: ${why}` };
    }
  }

  async #stage(item: Item, span: SourceSpan): Promise<Staged> {
    const { keeper, pathCount } = this.#parts;
    const { pathIndex } = item.parsed;
    const home = pathIndex < pathCount ? pathIndex : 0;
    const linked = await this.#link(item, span.sizeBytes, home);
    if (linked !== undefined) return linked;
    const { sizeBytes } = span;
    const isSmall = sizeBytes <= INLINE_BODY_BYTES_MAX;
    const body = isSmall ? await span.whole() : span.stream();
    return await keeper.stage({ body, sizeBytes }, home);
  }

  /** Small files travel in records, appender files change: both are copied. */
  async #link(
    { linkable, parsed }: Item,
    sizeBytes: number,
    home: number,
  ): Promise<Staged | undefined> {
    const { store, progress, pace } = this.#parts;
    if (this.#request.mode === "copy" || parsed.kind === "appender") return;
    if (linkable === undefined || sizeBytes <= INLINE_BODY_BYTES_MAX) return;
    if (this.#cannotLink === undefined) {
      try {
        const linked = await store.link(linkable, home);
        await pace.take(sizeBytes);
        return linked;
      } catch (error) {
        const why = whyNotLinked(error, home);
        if (why === undefined) throw error;
        if (isOtherFileSystem(error)) this.#cannotLink = why;
        progress.countCopy(why);
        return undefined;
      }
    }
    progress.countCopy(this.#cannotLink);
    return undefined;
  }
}

const DAY_S = 24 * 60 * 60;

/** What is told of a file that is here already and stays as it is. */
function refusalOf(kept: Exclude<Kept, "added" | "replaced" | "known">) {
  const details = {
    "deleted": "it was deleted here",
    "changed-here": "it was changed here since; what is here stays",
    "not-owner":
      "it changed in FastDFS since it was taken in: run the import " +
      "on the in-sync member with the lowest number",
  };
  return new SourceFault(kept, details[kept]);
}

function isEqual(a: FileMeta, b: FileMeta): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && a[name] === b[name]);
}

function hex(sum: number): string {
  return sum.toString(16).padStart(8, "0");
}

function isOtherFileSystem(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EXDEV";
}

/** Why a file was not linked, when copying it is the answer. */
function whyNotLinked(error: unknown, home: number): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (isOtherFileSystem(error)) {
    return `store path M${hexByte(home)} is on another file system: ` +
      "hard links do not reach there, so files are copied";
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return "the system does not let this agent link files of others " +
      "(fs.protected_hardlinks); they are copied";
  }
  return "code" in error && error.code === "EMLINK"
    ? "the file has too many names already; it is copied"
    : undefined;
}
