/**
 * Gets the bytes of states that we learn of: from bodies that were sent ahead,
 * or from the peer that told us.
 *
 * @module
 */

import type { GroupName, NodeId } from "@kedge/schema";
import {
  type Change,
  compareEntries,
  type FileEntry,
} from "@kedge/schema/change";
import type { WireRecord } from "@kedge/schema/wire/records";
import { FILES_PER_REQUEST_MAX, type Given } from "@kedge/schema/wire/sync";
import { MIB } from "@kedge/schema";
import type {
  Adoption,
  ChangeLog,
  ContentSource,
  LocalFiles,
} from "../ports.ts";
import type { BulkPool } from "./bulk_pool.ts";
import { askFor, contentOf, type PeerFile } from "./content_transfer.ts";
import type { StagedBodies } from "./staged_bodies.ts";

/** States that are taken over in one transaction: at most so many, … */
const ADOPT_COUNT_MAX = 128;
/** … with at most so many inline bytes. */
const ADOPT_BYTES_MAX = 2 * MIB;
/** Largest group of files that is asked for at once. */
const ASK_COUNT = Math.min(64, FILES_PER_REQUEST_MAX);

/** A peer that has not stored its own change yet is asked again after this. */
const NOT_YET_PAUSE_MS = 50;
/** For so long, in ms: then its link is made anew. */
const NOT_YET_MS_MAX = 2000;

/** What {@linkcode ContentPuller} works with. */
export interface ContentPullerOptions {
  readonly group: GroupName;
  readonly files: LocalFiles;
  readonly log: ChangeLog;
  readonly pool: BulkPool;
  readonly bodies: StagedBodies;
  /** Tell the operator. */
  alarm(why: string): void;
}

/** See the module comment. */
export class ContentPuller {
  readonly #options: ContentPullerOptions;

  /** Nothing is under way. */
  constructor(options: ContentPullerOptions) {
    this.#options = options;
  }

  /**
   * The bytes of a record, wherever they are.
   *
   * The peer is asked for the file as it is *now* when they did not come, or
   * when they would change a state that we do not have. What it answers is
   * adopted when it is newer than the record, which will be known then.
   *
   * @throws {Error} When the peer cannot be reached or our disk refuses.
   */
  async contentFor(peer: NodeId, record: WireRecord): Promise<ContentSource> {
    const { bodies, files } = this.#options;
    const { change, content, inline } = record;
    const ours = files.lookup(change.entry.id);
    const isKnown = ours !== undefined &&
      compareEntries(ours, change.entry) >= 0;
    if (isKnown) return { kind: "none" };
    if (hasBase(change, ours)) {
      if (content.kind === "none") return { kind: "none" };
      if (content.kind === "inline") return { kind: "inline", bytes: inline };
      const staged = content.kind === "elsewhere"
        ? bodies.take(content)
        : undefined;
      if (staged !== undefined) return { kind: "staged", staged };
    }
    const file = await this.#askUntilStored(peer, change.entry);
    const isSame = file.entry !== undefined &&
      compareEntries(file.entry, change.entry) === 0;
    if (isSame && change.body.kind === "whole") {
      if (file.staged === undefined) this.#missing(peer, change.entry.id);
      return contentOf(file.staged);
    }
    await this.#adopt([file], peer);
    return { kind: "none" };
  }

  /**
   * Take states over from a peer, with their bytes.
   *
   * @param pace Waits as long as so many bytes and files must wait.
   * @param took Told the bytes of every group that was taken.
   * @returns How many are here now, and how many without their bytes.
   */
  async adoptFrom(
    peer: NodeId,
    entries: readonly FileEntry[],
    {
      pace = () => Promise.resolve(),
      took = () => {},
    }: {
      readonly pace?: (bytes: number, files: number) => Promise<void>;
      readonly took?: (files: number, bytes: number) => void;
    } = {},
  ): Promise<Given> {
    const { pool, log, group, files } = this.#options;
    const dead = entries.filter((entry) => entry.state === "tombstone");
    if (dead.length > 0) {
      await log.adopt(
        dead.map((entry) => ({ entry, content: { kind: "none" } })),
        false,
      );
    }
    let [taken, missing] = [dead.length, 0];
    const alive = entries.filter((entry) => entry.state === "present");
    for (let at = 0; at < alive.length; at += ASK_COUNT) {
      const ids = alive.slice(at, at + ASK_COUNT).map((entry) => entry.id);
      const bytes = alive.slice(at, at + ASK_COUNT)
        .reduce((sum, entry) => sum + entry.sizeBytes, 0);
      await pace(bytes, ids.length);
      await pool.use(peer, async (call) => {
        const asking = { files, group, content: true };
        let batch: PeerFile[] = [];
        for await (const file of askFor(call, ids, asking)) {
          batch.push(file);
          if (!isFull(batch)) continue;
          missing += await this.#adopt(batch, peer);
          batch = [];
        }
        missing += await this.#adopt(batch, peer);
      });
      taken += ids.length;
      took(ids.length, bytes);
    }
    return { taken, missing };
  }

  /**
   * A change may be sent before it is stored where it was made. Until then
   * "never had it" says nothing, and an origin that dies has made no file.
   *
   * @throws {Error} When it takes too long: the records come again.
   */
  async #askUntilStored(peer: NodeId, entry: FileEntry): Promise<PeerFile> {
    const { id } = entry;
    for (let waitedMs = 0;; waitedMs += NOT_YET_PAUSE_MS) {
      const file = await this.#askOne(peer, id);
      const isStored = file.entry !== undefined &&
        compareEntries(file.entry, entry) >= 0;
      if (isStored) return file;
      const { staged } = file;
      if (staged !== undefined) await this.#options.files.discard(staged);
      if (waitedMs >= NOT_YET_MS_MAX) {
        throw new Error(`node ${peer} has not stored its change of ${id}`);
      }
      await new Promise((done) => setTimeout(done, NOT_YET_PAUSE_MS));
    }
  }

  async #askOne(peer: NodeId, id: string): Promise<PeerFile> {
    const { pool, files, group } = this.#options;
    return await pool.use(peer, async (call) => {
      const asking = { files, group, content: true };
      let answer: PeerFile | undefined;
      for await (const file of askFor(call, [id], asking)) answer = file;
      if (answer === undefined) throw new Error("the peer did not answer");
      return answer;
    });
  }

  /** Merge what came; returns how many have no bytes. */
  async #adopt(batch: readonly PeerFile[], peer: NodeId): Promise<number> {
    const adoptions = batch.flatMap((file): Adoption[] =>
      file.entry === undefined ? [] : [{
        entry: file.entry,
        content: contentOf(file.staged),
        usedKey: file.usedKey,
      }]
    );
    if (adoptions.length === 0) return 0;
    const results = await this.#options.log.adopt(adoptions, false);
    let missing = 0;
    for (const [index, { entry }] of adoptions.entries()) {
      if (results[index] !== "needs-content") continue;
      missing++;
      this.#missing(peer, entry.id);
    }
    return missing;
  }

  #missing(peer: NodeId, id: string): void {
    this.#options.alarm(`node ${peer} cannot give the bytes of ${id}`);
  }
}

/** Whether we have the state that a change was made from. */
function hasBase(change: Change, ours: FileEntry | undefined): boolean {
  const { body, entry } = change;
  if (body.kind === "whole") return true;
  if (ours?.state !== "present") return false;
  if (body.kind === "none") {
    // Metadata must not lie over the bytes of another version.
    return ours.sizeBytes === entry.sizeBytes && ours.crc32 === entry.crc32;
  }
  return ours.epoch === body.baseEpoch && ours.version === body.baseVersion;
}

function isFull(batch: readonly PeerFile[]): boolean {
  const bytes = batch.reduce(
    (sum, file) => sum + (file.staged?.inline?.length ?? 0),
    0,
  );
  return batch.length >= ADOPT_COUNT_MAX || bytes >= ADOPT_BYTES_MAX;
}
