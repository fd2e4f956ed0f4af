/**
 * Decides when a volume keeps what it loses, and where.
 *
 * Keeping begins when a split brain was decided against this node. It ends with
 * the resync; a resync that was cut goes on with the file of before, also in a
 * new process. Another resync does not: what that one replaces is no part of
 * the data that the file is about.
 *
 * When the file cannot be written the resync goes on without, and the file gets
 * another name: the data was given up by a command, and a mirror that stays
 * apart is worse.
 *
 * @module
 */

import type { VolumeCore } from "../core/volume_core.ts";
import { LOST_MARK, UndoKeeper } from "./undo_keeper.ts";
import { UNDO_SUFFIX, UndoReader } from "./undo_reader.ts";

/** In the name of a file that could not be gone on with. */
const CUT_MARK = "-cut";

/** Whose data, and where it is kept. */
export interface UndoPlace {
  readonly dir: string;
  readonly resource: string;
  readonly volume: number;
}

/** What the guard works with. */
export interface UndoGuardParts {
  /** Undefined: nothing is kept. */
  readonly place: UndoPlace | undefined;
  readonly core: () => VolumeCore;
  readonly read: (offset: number, into: Uint8Array) => boolean;
  readonly log: (level: "info" | "warn" | "error", text: string) => void;
}

/** See the module comment. */
export class UndoGuard {
  readonly #parts: UndoGuardParts;
  #keeper: UndoKeeper | undefined;
  #generation: bigint | undefined;
  /** The resync that is being prepared goes on with one of before. */
  #goesOn = false;

  constructor(parts: UndoGuardParts) {
    this.#parts = parts;
  }

  /** A resync towards us is being prepared: this is what we have now. */
  noteGeneration(): void {
    const { generations, persistent } = this.#parts.core();
    this.#generation = generations.set?.current;
    this.#goesOn = persistent?.flags.consistent === false;
  }

  /** A resync towards us begins: go on with a file that was cut. */
  resume(): void {
    const { place } = this.#parts;
    const goesOn = this.#goesOn;
    this.#goesOn = false;
    if (place === undefined || this.#keeper !== undefined || !goesOn) return;
    const generation = unfinished(place, this.#parts.core().sizeBytes);
    if (generation !== undefined) this.#open(place, generation);
  }

  /** What is overwritten from now on is thrown away; or all of it was. */
  keep(keep: boolean): void {
    const { place, log } = this.#parts;
    if (!keep) return this.#finish();
    if (this.#keeper !== undefined) return;
    if (place === undefined) {
      return log(
        "warn",
        "No folder for undo files: nothing is kept of what " +
          "the peer's data replaces",
      );
    }
    this.#open(place, this.#generation ?? 0n);
  }

  /** A range is about to be overwritten. */
  before(offset: number, lengthBytes: number): void {
    if (this.#keeper === undefined) return;
    try {
      this.#keeper.before(offset, lengthBytes);
    } catch (error) {
      this.#giveUp(error);
    }
  }

  /** The disk goes away, or the volume does: the file waits for its end. */
  close(): void {
    this.#keeper?.close();
    this.#keeper = undefined;
  }

  #open(place: UndoPlace, generation: bigint): void {
    const { core, read, log } = this.#parts;
    const { sizeBytes } = core();
    const willChange = (block: number) => core().bitmap?.has(block) ?? false;
    try {
      this.#keeper = new UndoKeeper({
        ...place,
        generation,
        sizeBytes,
        read,
        willChange,
      });
      const { path } = this.#keeper;
      log("info", `What the peer's data replaces is kept in ${path}`);
    } catch (error) {
      this.#giveUp(error);
    }
  }

  #finish(): void {
    const keeper = this.#keeper;
    this.#keeper = undefined;
    if (keeper === undefined) return;
    try {
      keeper.finish();
      this.#parts.log(
        "info",
        `${keeper.path} has everything that was replaced`,
      );
    } catch (error) {
      this.#giveUp(error);
    }
  }

  #giveUp(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#parts.log(
      "error",
      `The undo file ends here, the resync goes on without it: ${why}`,
    );
    const path = this.#keeper?.path;
    this.close();
    if (path !== undefined) this.#markCut(path);
  }

  /** What is missing now would be taken for whole, if it were gone on with. */
  #markCut(path: string): void {
    const stem = path.slice(0, -UNDO_SUFFIX.length);
    try {
      Deno.renameSync(path, `${stem}-${Date.now()}${CUT_MARK}${UNDO_SUFFIX}`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#parts.log("error", `${path} cannot be renamed: ${why}`);
    }
  }
}

/** The generation of a file of this volume that has no end yet. */
function unfinished(place: UndoPlace, sizeBytes: number): bigint | undefined {
  const { dir, resource, volume } = place;
  let found: { generation: bigint; createdMs: number } | undefined;
  for (const name of namesOf(dir)) {
    try {
      using reader = new UndoReader(`${dir}/${name}`);
      const { head } = reader;
      const isOurs = head.resource === resource && head.volume === volume &&
        head.sizeBytes <= sizeBytes && !reader.hasEnd();
      if (!isOurs || head.createdMs < (found?.createdMs ?? 0)) continue;
      const generation = BigInt(`0x${head.generation}`);
      found = { generation, createdMs: head.createdMs };
    } catch {
      // Not an undo file, whatever its name is.
    }
  }
  return found?.generation;
}

function namesOf(dir: string): string[] {
  try {
    return [...Deno.readDirSync(dir)].map(({ name }) => name)
      .filter((name) =>
        name.endsWith(UNDO_SUFFIX) &&
        ![LOST_MARK, CUT_MARK].some((mark) => name.endsWith(mark + UNDO_SUFFIX))
      );
  } catch {
    return [];
  }
}
