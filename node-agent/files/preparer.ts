/**
 * Brings changes into the form that the store worker takes.
 *
 * @module
 */

import type { Change, FileEntry } from "@kedge/schema/change";
import type { ContentSource, UsedKey } from "../ports.ts";
import { checkEntry, checkRoom, inlineOf } from "./intake.ts";
import { mustParse } from "./layout.ts";
import type { StoreParts } from "./local_files.ts";
import type { Step, StepContent } from "./merge_core.ts";
import type { RememberedKey } from "./worker_messages.ts";

/** A change on its way, with its inline bytes. */
export interface Prepared {
  readonly step: Step;
  readonly body: Uint8Array | undefined;
}

/** Prepares changes of one store. */
export class Preparer {
  readonly #parts: StoreParts;
  readonly #group: string;

  /** Prepare with these. */
  constructor(parts: StoreParts, group: string) {
    this.#parts = parts;
    this.#group = group;
  }

  /** The key of an upload, as it is stored. */
  keyOf(change: Change, key: string | undefined): RememberedKey | undefined {
    if (key === undefined) return undefined;
    const { id, sha256, epoch } = change.entry;
    const usedMs = this.#parts.clock.wallMs();
    return { key, id, sha256: sha256 ?? "", epoch, usedMs };
  }

  /** A change that nothing needs to be read or flushed for. */
  simple(change: Change, source: ContentSource): Prepared {
    const body = inlineOf(source);
    const content: StepContent = body === undefined
      ? this.#wholeOf(source)
      : { kind: "inline", at: 0, length: body.length };
    return { step: this.#step(change, content), body };
  }

  #wholeOf(source: ContentSource): StepContent {
    if (source.kind !== "staged") return { kind: "none" };
    const { token, crc32, sizeBytes } = source.staged;
    const file = this.#parts.stager.find(token);
    if (file === undefined) return { kind: "none" };
    const { pathIndex, blockCrcs } = file;
    return { kind: "whole", token, pathIndex, crc32, sizeBytes, blockCrcs };
  }

  #step(change: Change, content: StepContent): Step {
    const { entry, body } = change;
    const pathIndex = this.#homeOf(entry);
    const key = this.keyOf(change, change.key);
    return { entry, body, content, pathIndex, key };
  }

  /** Store path for new content: the one in the ID if it is here and works. */
  #homeOf(entry: FileEntry): number {
    const { pathIndex } = mustParse(entry.id);
    const { paths } = this.#parts;
    if (paths.isWritable(pathIndex)) return pathIndex;
    if (entry.state === "tombstone") return 0;
    const other = paths.anyWritable();
    return other ?? 0;
  }

  /**
   * A change that is made from what is here, or whose bytes must be durable.
   *
   * @throws {Problem} When a disk is full or fails.
   */
  async prepare(
    change: Change,
    source: ContentSource,
    durable: boolean,
  ): Promise<Prepared> {
    const { entry, body } = change;
    if (body.kind === "none" || body.kind === "whole") {
      const prepared = this.simple(change, source);
      await this.#flushed(prepared.step, durable);
      return prepared;
    }
    const row = await this.#parts.index.stillRow(entry.id);
    const { content, flushed } = await this.#parts.edits
      .prepare(row, change, source);
    if (content.kind === "none" && body.kind === "range") {
      const isAppend = row !== undefined && body.offset === row.sizeBytes;
      if (isAppend) return this.simple(change, source);
    }
    if (durable) await flushed;
    return { step: this.#step(change, content), body: undefined };
  }

  async #flushed({ content }: Step, durable: boolean): Promise<void> {
    if (!durable || !("token" in content)) return;
    await this.#parts.stager.find(content.token)?.flushed;
  }

  #keyed(prepared: Prepared, used: UsedKey | undefined): Prepared {
    if (used === undefined) return prepared;
    const { step } = prepared;
    const usedMs = this.#parts.clock.wallMs();
    const key = { ...used, id: step.entry.id, usedMs };
    return { ...prepared, step: { ...step, key } };
  }

  /** Check what a peer sent, and bring it into the worker's form. */
  async receive(
    given: readonly {
      readonly change: Change;
      readonly content: ContentSource;
      readonly isHole?: true;
      readonly usedKey?: UsedKey | undefined;
    }[],
    durable: boolean,
  ): Promise<Prepared[]> {
    checkRoom(this.#parts, given);
    const seen = new Set<string>();
    const items: Prepared[] = [];
    for (const { change, content, isHole, usedKey } of given) {
      const { id } = change.entry;
      checkEntry(this.#group, change, content);
      if (isHole === true) {
        items.push({
          step: this.#step(change, { kind: "hole" }),
          body: undefined,
        });
        continue;
      }
      const { kind } = change.body;
      const isPart = kind === "range" || kind === "truncate";
      // What is made from a version that is itself on its way is fetched.
      if (isPart && seen.has(id)) {
        items.push({
          step: this.#step(change, { kind: "none" }),
          body: undefined,
        });
      } else {
        const prepared = await this.prepare(change, content, durable);
        items.push(this.#keyed(prepared, usedKey));
      }
      seen.add(id);
    }
    return items;
  }
}

/** Whether a change needs something to be read or flushed first. */
export function mustWait({ body }: Change, source: ContentSource): boolean {
  if (body.kind === "range" || body.kind === "truncate") return true;
  return source.kind === "staged" && source.staged.inline === undefined;
}
