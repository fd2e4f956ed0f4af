/**
 * What a change does to the index and to the disk: the decision alone.
 *
 * The index row is the truth. Content that is at hand becomes an action, which
 * is stored with the row and carried out after the commit; content that is not
 * makes the row `damaged`, so that it is fetched from a peer.
 *
 * @module
 */

import type { ChangeBody, FileEntry } from "@kedge/schema/change";
import { compareEntries } from "@kedge/schema/change";
import type { FileRow, UnsettledKind } from "@kedge/schema/db";
import { rowOf } from "@kedge/schema/db";
import type { Applied } from "../ports.ts";
import { BlockChecksums } from "./crc32.ts";
import type { RememberedKey } from "./worker_messages.ts";

/** Bytes of a change as the store worker gets them. */
export type StepContent =
  /** Not at hand. */
  | { readonly kind: "none" }
  /** The file was deleted and is forgotten: only the number counts. */
  | { readonly kind: "hole" }
  /** A part of the batch's buffer. */
  | { readonly kind: "inline"; readonly at: number; readonly length: number }
  /** A staging file that is the whole content. */
  | StagedContent & { readonly kind: "whole" }
  /** A staging file that is the whole content, made from a base version. */
  | StagedContent & BaseVersion & { readonly kind: "rebuilt" }
  /** Bytes that were written to the end of a base version already. */
  | StagedContent & BaseVersion & { readonly kind: "tail" };

/** A staging file, and the checksums of the file that it will make. */
export interface StagedContent {
  readonly token: string;
  readonly pathIndex: number;
  /** Of the whole file once the change is done. */
  readonly crc32: number;
  readonly sizeBytes: number;
  readonly blockCrcs: Uint8Array | null;
}

/** The version that a change of a part was made from. */
export interface BaseVersion {
  readonly baseEpoch: number;
  readonly baseVersion: number;
}

/** One change on its way into the index. */
export interface Step {
  readonly entry: FileEntry;
  readonly body: ChangeBody;
  readonly content: StepContent;
  /** Store path for content that has none yet. */
  readonly pathIndex: number;
  /** `Idempotency-Key` that the record carries. */
  readonly key: RememberedKey | undefined;
}

/** What must be done to the disk after the commit. */
export interface NewAction {
  readonly kind: UnsettledKind;
  readonly pathIndex: number;
  readonly token: string;
  readonly offset: number;
  readonly payload: Uint8Array | null;
  /** Whether there may be a file already. */
  readonly replaces: boolean;
}

/** What a step does. */
export interface Decision {
  readonly outcome: Applied;
  /** The new row; `undefined` changes nothing. */
  readonly row?: FileRow;
  /** What follows on the disk, in order. */
  readonly actions: readonly NewAction[];
}

/** What a decision needs besides the row and the step. */
export interface Surroundings {
  /** The batch's buffer, for inline content. */
  readonly bytes: Uint8Array;
  /** Whether a store path takes bytes. */
  readonly mayWrite: (pathIndex: number) => boolean;
  /** Take whole content also for a state that is known: it was found wrong. */
  readonly repairs?: boolean;
  /** Say so when the state is known and its content is missing or wrong. */
  readonly saysLacking?: boolean;
}

/**
 * Decide what one step does.
 *
 * @param current The row as it is.
 * @param step The change; its content was verified on receipt.
 */
export function decide(
  current: FileRow | undefined,
  step: Step,
  around: Surroundings,
): Decision {
  const { entry } = step;
  if (step.content.kind === "hole") return { outcome: "known", actions: [] };
  const order = current === undefined ? 1 : compareEntries(entry, {
    state: current.tombstone === 1 ? "tombstone" : "present",
    epoch: current.epoch,
    version: current.version,
  });
  const known: Decision = { outcome: "known", actions: [] };
  if (order < 0) return known;
  if (order === 0 && current?.damaged !== 1) {
    const isGiven = step.content.kind === "inline" ||
      step.content.kind === "whole";
    if (around.repairs !== true || !isGiven) return known;
  }
  if (entry.state === "tombstone") return bury(current, step);
  const kept = keep(current, step, around);
  if (kept !== undefined) return { outcome: "applied", ...kept };
  if (order === 0) {
    const outcome = around.saysLacking === true ? "needs-content" : "known";
    return { outcome, actions: [] };
  }
  const pathIndex = current?.pathIndex ?? step.pathIndex;
  const row = rowOf(entry, { pathIndex, damaged: 1, blockCrcs: null });
  return { outcome: "needs-content", row, actions: [] };
}

/** How many records of a peer are held, the first ones, with their content. */
export function heldCount(applied: readonly Applied[]): number {
  const lacking = applied.indexOf("needs-content");
  return lacking < 0 ? applied.length : lacking;
}

/** A row, and how its content gets there. */
type Kept = Required<Pick<Decision, "row" | "actions">>;

function bury(current: FileRow | undefined, step: Step): Decision {
  const pathIndex = current?.pathIndex ?? step.pathIndex;
  const row = rowOf(step.entry, { pathIndex, damaged: 0, blockCrcs: null });
  const actions = current === undefined ? [] : [act("unlink", { pathIndex })];
  return { outcome: "applied", row, actions };
}

/** The row and actions of a present file whose content is at hand. */
function keep(
  current: FileRow | undefined,
  step: Step,
  around: Surroundings,
): Kept | undefined {
  const { entry, body, content } = step;
  if (entry.sizeBytes === 0) {
    return replace(current, step, around, new Uint8Array(0));
  }
  if (body.kind === "none") return keepContent(current, entry);
  // The very bytes may be here already, as after a rebuilt index.
  if (content.kind === "none" && isSameHash(current, entry)) {
    return keepContent(current, entry);
  }
  if (body.kind === "whole") {
    if (content.kind === "inline") {
      return replace(current, step, around, slice(around.bytes, content));
    }
    if (content.kind !== "whole") return undefined;
    return rename(current, entry, content);
  }
  if (current === undefined || !isBase(current, body)) return undefined;
  if (content.kind === "rebuilt" && isBase(current, content)) {
    return rename(current, entry, content);
  }
  if (body.kind === "truncate" || body.offset !== current.sizeBytes) {
    return undefined;
  }
  return extend(current, step, around);
}

/** Content that is unchanged: only if what we have is what the entry says. */
function keepContent(
  current: FileRow | undefined,
  entry: FileEntry,
): Kept | undefined {
  if (current === undefined || current.damaged === 1) return undefined;
  if (current.tombstone === 1 || !isSame(current, entry)) return undefined;
  return { row: rowOf(entry, current), actions: [] };
}

/** Small content as a whole. */
function replace(
  current: FileRow | undefined,
  step: Step,
  around: Surroundings,
  payload: Uint8Array,
): Kept {
  const stays = current !== undefined && around.mayWrite(current.pathIndex);
  const pathIndex = stays ? current.pathIndex : step.pathIndex;
  const replaces = current !== undefined;
  const write = act("write", { pathIndex, payload, replaces });
  return {
    row: rowOf(step.entry, { pathIndex, damaged: 0, blockCrcs: null }),
    actions: [write, ...leave(current, pathIndex)],
  };
}

/** A staging file that becomes the file. */
function rename(
  current: FileRow | undefined,
  entry: FileEntry,
  content: StagedContent,
): Kept | undefined {
  if (!isSame(content, entry)) return undefined;
  const { pathIndex, token, blockCrcs } = content;
  const replaces = current !== undefined;
  const action = act("rename", { pathIndex, token, replaces });
  return {
    row: rowOf(entry, { pathIndex, damaged: 0, blockCrcs }),
    actions: [action, ...leave(current, pathIndex)],
  };
}

/** Bytes at the end of a file, where it lies. */
function extend(
  current: FileRow,
  step: Step,
  around: Surroundings,
): Kept | undefined {
  const { entry, content } = step;
  const { pathIndex, sizeBytes: offset } = current;
  if (!around.mayWrite(pathIndex)) return undefined;
  if (content.kind === "tail" && isBase(current, content)) {
    if (!isSame(content, entry) || content.pathIndex !== pathIndex) {
      return undefined;
    }
    const { blockCrcs } = content;
    const action = act("join", { pathIndex, offset, replaces: true });
    const row = rowOf(entry, { pathIndex, damaged: 0, blockCrcs });
    return { row, actions: [action] };
  }
  if (content.kind !== "inline") return undefined;
  const payload = slice(around.bytes, content);
  const sums = BlockChecksums.after(offset, current.crc32, current.blockCrcs);
  sums.update(payload);
  if (!isSame(sums, entry)) return undefined;
  const blockCrcs = sums.packed();
  const action = act("extend", { pathIndex, payload, offset, replaces: true });
  const row = rowOf(entry, { pathIndex, damaged: 0, blockCrcs });
  return { row, actions: [action] };
}

/** The old file goes when the new one lies on another store path. */
function leave(current: FileRow | undefined, pathIndex: number): NewAction[] {
  if (current === undefined || current.pathIndex === pathIndex) return [];
  return [act("unlink", { pathIndex: current.pathIndex })];
}

function act(
  kind: UnsettledKind,
  rest: Partial<NewAction> & Pick<NewAction, "pathIndex">,
): NewAction {
  return {
    kind,
    token: "",
    offset: 0,
    payload: null,
    replaces: false,
    ...rest,
  };
}

function slice(
  bytes: Uint8Array,
  content: { readonly at: number; readonly length: number },
): Uint8Array {
  return bytes.subarray(content.at, content.at + content.length);
}

function isBase(current: FileRow, base: BaseVersion): boolean {
  return current.tombstone === 0 && current.damaged === 0 &&
    current.epoch === base.baseEpoch && current.version === base.baseVersion;
}

function isSameHash(current: FileRow | undefined, entry: FileEntry): boolean {
  return entry.sha256 !== null && current?.sha256 === entry.sha256;
}

function isSame(
  a: { readonly sizeBytes: number; readonly crc32: number },
  b: { readonly sizeBytes: number; readonly crc32: number },
): boolean {
  return a.sizeBytes === b.sizeBytes && a.crc32 === b.crc32;
}
