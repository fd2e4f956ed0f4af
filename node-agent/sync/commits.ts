/**
 * The changes of this node on their way: into our log and to the peers at once,
 * then back to whoever waits.
 *
 * @module
 */

import { type Level, type NodeId, Problem } from "@kedge/schema";
import {
  type Change,
  compareEntries,
  type FileEntry,
} from "@kedge/schema/change";
import {
  encodeRecord,
  encodeRecordHead,
  type WireContent,
} from "@kedge/schema/wire/records";
import type { ClientBodies, LetGo } from "../client_bodies.ts";
import type { ChangeLog, Commitment, ContentSource } from "../ports.ts";
import { describe, encodeNamed } from "./log_encoding.ts";
import type { RecentRecord, RecentRecords } from "./recent_records.ts";
import type { ReplicaEffect, ReplicaInput } from "./replica_messages.ts";

/** One kind of effect. */
type Effect<K extends ReplicaEffect["kind"]> = Extract<
  ReplicaEffect,
  { readonly kind: K }
>;

/** Longer bytes are sent from where they lie, in bytes. */
const COPIED_BYTES_MAX = 16 * 1024;

/** A record as peers get it. */
type Encoded = Pick<RecentRecord, "encoded" | "inline" | "named">;

/** A change that was submitted. */
interface Operation {
  readonly change: Change;
  readonly content: ContentSource;
  /** The record as peers get it. */
  readonly encoded: Encoded;
  readonly idempotencyKey: string | undefined;
  /** Whether its answer waits for peers. */
  readonly isAwaited: boolean;
  readonly resolve: (commitment: Commitment) => void;
  readonly reject: (problem: Problem) => void;
  /** Only the owner may make it. */
  readonly isOwners: boolean;
  /** A peer asked for its bytes and we could not read them. */
  isBroken: boolean;
  /** The file had changed before this could be stored. */
  isOvertaken: boolean;
}

/** What {@linkcode Commits} works with. */
export interface CommitsOptions {
  readonly log: ChangeLog;
  /** Memory of bodies that are given here. */
  readonly bodies: ClientBodies;
  readonly recent: RecentRecords;
  /** The file as it is here now. */
  lookup(id: string): FileEntry | undefined;
  /** Tell the core. */
  input(input: ReplicaInput): void;
  /** There is a new record to send; `isAwaited` when somebody waits for it. */
  appended(isAwaited: boolean): void;
}

/** See the module comment. */
export class Commits {
  readonly #options: CommitsOptions;
  readonly #operations = new Map<number, Operation>();
  /** States of files that are on their way into our log, by ID. */
  readonly #coming = new Map<string, FileEntry>();
  #lastOp = 0;
  #written: number;
  #durable: number;
  #isTelling = false;
  /** Up to here the core was told what is stored. */
  #told: number;
  /** The last record that is sent only once it is stored. */
  #heldBack = 0;
  #failure: string | undefined;

  /** Nothing is on its way yet. */
  constructor(options: CommitsOptions) {
    this.#options = options;
    this.#written = this.#durable = this.#told = options.log.head();
  }

  /** Changes that wait. */
  get size(): number {
    return this.#operations.size;
  }

  /** See `Replicator.commit` in ports.ts. */
  commit(
    change: Change,
    content: ContentSource,
    level: Level,
    idempotencyKey?: string,
  ): Promise<Commitment> {
    const op = ++this.#lastOp;
    // In the record itself, so that every holder can answer a retry.
    const keyed = idempotencyKey === undefined
      ? change
      : { ...change, key: idempotencyKey };
    const origin = ownersOrigin(change);
    return new Promise((resolve, reject) => {
      this.#operations.set(op, {
        change: keyed,
        content,
        // Before it has a number: what cannot be encoded must not leave a gap.
        encoded: encode(keyed, content),
        idempotencyKey,
        isAwaited: level !== "A",
        resolve,
        reject,
        isOwners: origin !== undefined,
        isBroken: false,
        isOvertaken: false,
      });
      this.#options.input({
        kind: "submit",
        op,
        level,
        ...(origin === undefined ? {} : { origin }),
      });
    });
  }

  /** The bytes of a file could not be read here: do not claim to hold them. */
  broken(id: string): void {
    for (const operation of this.#operations.values()) {
      if (operation.change.entry.id === id) operation.isBroken = true;
    }
  }

  /** Store a change in our log and send it. */
  append({ op, sequence, durable }: Effect<"append">): void {
    const { log, recent, appended } = this.#options;
    const operation = this.#operations.get(op);
    if (operation === undefined) return;
    try {
      const { change, content, encoded, key } = this.#recordOf(operation);
      const storedFirst = operation.isOwners;
      if (storedFirst) this.#heldBack = sequence;
      const { entry } = change;
      recent.push(sequence, { ...encoded, durable, storedFirst });
      this.#coming.set(entry.id, entry);
      const letGo = this.#hold(content);
      log.append({ sequence, change, content }, durable, key).then(
        () => {
          letGo?.();
          if (this.#coming.get(entry.id) === entry) {
            this.#coming.delete(entry.id);
          }
          this.#logged(sequence, durable);
        },
        (error) => this.#failed(error),
      );
    } catch (error) {
      this.#failed(error);
      return;
    }
    appended(operation.isAwaited);
  }

  /** The log reads the bytes until it has stored them, whoever has gone then. */
  #hold(content: ContentSource): LetGo | undefined {
    if (content.kind !== "inline") return undefined;
    return this.#options.bodies.hold(content.bytes);
  }

  /**
   * What goes into the log under the number that the change got. When the file
   * has changed since the caller looked (a late record of its former owner), that
   * is its present state once more, which changes nothing anywhere.
   */
  #recordOf(operation: Operation) {
    const { change, content, encoded, idempotencyKey: key } = operation;
    const { id } = change.entry;
    const current = operation.isOwners
      ? this.#coming.get(id) ?? this.#options.lookup(id)
      : undefined;
    if (current === undefined || mayFollow(current, change)) {
      return { change, content, encoded, key };
    }
    operation.isOvertaken = true;
    const nothing: Change = { entry: current, body: { kind: "none" } };
    const none: ContentSource = { kind: "none" };
    return {
      change: nothing,
      content: none,
      encoded: encode(nothing, none),
      key: undefined,
    };
  }

  /** Answer the caller. */
  answer({ op, level, holders }: Effect<"answer">): void {
    const operation = this.#take(op);
    if (operation === undefined) return;
    if (operation.isOvertaken) {
      operation.reject(
        new Problem("precondition-failed", "The file was changed meanwhile"),
      );
    } else if (operation.isBroken) {
      operation.reject(
        new Problem("uncertain", "The stored bytes cannot be read back"),
      );
    } else operation.resolve({ level, holders });
  }

  /** Nothing was done. */
  refuse({ op, reason, why }: Effect<"refuse">): void {
    const slug = reason === "frozen"
      ? "read-only"
      : reason === "busy"
      ? "too-many-requests"
      : reason;
    this.#take(op)?.reject(new Problem(slug, sentence(why)));
  }

  /** It may or may not exist later. */
  uncertain({ op, why }: Effect<"uncertain">): void {
    this.#take(op)?.reject(new Problem("uncertain", sentence(why)));
  }

  /** Nothing more will be answered. */
  close(why: string): void {
    for (const op of [...this.#operations.keys()]) {
      this.uncertain({ kind: "uncertain", op, why });
    }
  }

  #take(op: number): Operation | undefined {
    const operation = this.#operations.get(op);
    this.#operations.delete(op);
    return operation;
  }

  /** Stores of one transaction are told to the core together. */
  #logged(sequence: number, durable: boolean): void {
    if (this.#failure !== undefined) return;
    this.#written = Math.max(this.#written, sequence);
    if (durable) this.#durable = Math.max(this.#durable, sequence);
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      if (this.#failure !== undefined) return;
      const told = this.#told;
      this.#told = this.#written;
      this.#options.recent.stored(this.#written);
      if (this.#heldBack > told) this.#options.appended(true);
      this.#options.input({
        kind: "logged",
        written: this.#written,
        durable: this.#durable,
      });
    });
  }

  /** A record is missing in our log: nothing after it may be answered. */
  #failed(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error instanceof Error ? error.message : String(error);
    this.#options.input({ kind: "log-failed", why: this.#failure });
  }
}

/** The origin of a file that only its owner may change so; see architecture.md. */
function ownersOrigin({ entry, body }: Change): NodeId | undefined {
  const isUpload = body.kind === "whole" && entry.master === null;
  const isDelete = entry.state === "tombstone";
  return isUpload || isDelete ? undefined : entry.origin;
}

/** Whether an owner's change may be made of the state that a file is in. */
function mayFollow(current: FileEntry, { entry, body }: Change): boolean {
  if (current.state !== "present") return false;
  if (compareEntries(entry, current) <= 0) return false;
  if (body.kind === "range" || body.kind === "truncate") {
    return current.epoch === body.baseEpoch &&
      current.version === body.baseVersion;
  }
  return body.kind === "whole" ||
    current.sizeBytes === entry.sizeBytes && current.crc32 === entry.crc32;
}

function encode(change: Change, content: ContentSource): Encoded {
  if (content.kind === "inline") return encodeInline(change, content.bytes);
  if (content.kind === "none") {
    return { encoded: encodeRecord(change, { kind: "none" }) };
  }
  const { staged } = content;
  if (staged.inline !== undefined) return encodeInline(change, staged.inline);
  const where: WireContent = describe(staged);
  return { encoded: encodeRecord(change, where) };
}

/** Short bytes are copied: two pieces cost more than that. */
function encodeInline(change: Change, inline: Uint8Array): Encoded {
  const where = { kind: "inline" } as const;
  if (inline.length < COPIED_BYTES_MAX) {
    return { encoded: encodeRecord(change, where, inline) };
  }
  return {
    encoded: encodeRecordHead(change, where, inline.length),
    inline,
    named: () => encodeNamed(change),
  };
}

function sentence(why: string): string {
  return why.charAt(0).toUpperCase() + why.slice(1);
}
