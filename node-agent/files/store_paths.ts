/**
 * The disks as the main isolate sees them: which take bytes, how much room they
 * have, and which one is next.
 *
 * @module
 */

import { statfsSync } from "node:fs";
import { GIB, Problem, type StorePathReport } from "@kedge/schema";
import { type Reserve, reserveBytes } from "@kedge/schema/config/units";
import { hexByte } from "@kedge/schema/file-id";
import type { Clock } from "../ports.ts";
import { describeError } from "./disk.ts";
import type { Layout } from "./layout.ts";
import type { PathState } from "./worker_messages.ts";

/** How long a look at a file system counts, in ms. */
const LOOK_MS = 500;

/** Size of a file system, in bytes. */
interface Room {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly seenMs: number;
}

/** Every store path of this node. */
export class StorePaths {
  readonly #layout: Layout;
  readonly #states: PathState[];
  readonly #reserve: Reserve;
  readonly #clock: Clock;
  readonly #rooms = new Map<number, Room>();
  readonly #promised: number[];
  #next = 0;
  /** Paths that are being filled again. */
  refills: { filesOn(pathIndex: number): number } | undefined;
  /** Bytes, by path, that wait in the database for a segment. */
  waitingBytes: readonly number[] = [];
  /** Told at once when a path changes its state. */
  onChange: (() => void) | undefined;

  /** Begin with what the worker found. */
  constructor(
    layout: Layout,
    states: readonly PathState[],
    options: { readonly reserve: Reserve; readonly clock: Clock },
  ) {
    this.#layout = layout;
    this.#states = [...states];
    this.#reserve = options.reserve;
    this.#clock = options.clock;
    this.#promised = states.map(() => 0);
  }

  /** What a path is now, room aside. */
  stateOf(pathIndex: number): PathState | undefined {
    return this.#states[pathIndex];
  }

  /** A path changed its state. */
  set(pathIndex: number, state: PathState): void {
    this.#states[pathIndex] = state;
    this.onChange?.();
  }

  /** Whether bytes can be written there now, space aside. */
  isWritable(pathIndex: number): boolean {
    return this.#states[pathIndex]?.state === "writable";
  }

  /** The first path that bytes can be written to. */
  anyWritable(): number | undefined {
    const found = this.#states.findIndex(({ state }) => state === "writable");
    return found < 0 ? undefined : found;
  }

  /** Whether files can be read there. */
  isReadable(pathIndex: number): boolean {
    return this.#states[pathIndex]?.state !== "missing";
  }

  /**
   * Choose a path for a body and set its bytes aside.
   *
   * @param wanted The tracker's choice; another one when it cannot take it.
   * @throws {Problem} `insufficient-storage`, or `read-only` when no path works.
   */
  take(sizeBytes: number, wanted: number | undefined): number {
    const writable = this.#states.map((_, index) => index)
      .filter((index) => this.isWritable(index));
    if (writable.length === 0) {
      const [why] = this.#reasons();
      throw new Problem("read-only", `No store path can be written: ${why}`);
    }
    const turn = this.#next++ % writable.length;
    const order = [...writable.slice(turn), ...writable.slice(0, turn)];
    if (wanted !== undefined && this.isWritable(wanted)) order.unshift(wanted);
    const found = order.find((index) => this.hasRoom(index, sizeBytes));
    if (found === undefined) {
      throw new Problem(
        "insufficient-storage",
        "Every store path is full up to its reserve",
        { sizeBytes },
      );
    }
    this.promise(found, sizeBytes);
    return found;
  }

  /** Count bytes that are on their way, or (negative) no longer are. */
  promise(pathIndex: number, sizeBytes: number): void {
    const now = this.#promised[pathIndex] ?? 0;
    this.#promised[pathIndex] = Math.max(0, now + sizeBytes);
  }

  /** Whether so many bytes fit above the reserve. */
  hasRoom(pathIndex: number, sizeBytes: number): boolean {
    const room = this.#room(pathIndex);
    if (room === undefined) return false;
    const promised = (this.#promised[pathIndex] ?? 0) +
      (this.waitingBytes[pathIndex] ?? 0);
    return this.#freeBytes(room) - promised >= sizeBytes;
  }

  /** Above the reserve. */
  #freeBytes(room: Room): number {
    const reserve = reserveBytes(this.#reserve, room.totalBytes);
    return Math.max(0, room.freeBytes - reserve);
  }

  #room(pathIndex: number): Room | undefined {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#rooms.get(pathIndex);
    if (known !== undefined && nowMs - known.seenMs < LOOK_MS) return known;
    try {
      const { bsize, blocks, bavail } = statfsSync(
        this.#layout.data(pathIndex),
      );
      const room = {
        totalBytes: bsize * blocks,
        freeBytes: bsize * bavail,
        seenMs: nowMs,
      };
      this.#rooms.set(pathIndex, room);
      return room;
    } catch (error) {
      const reason = `cannot be looked at: ${describeError(error)}`;
      this.set(pathIndex, { state: "missing", reason });
      return undefined;
    }
  }

  /** Forget what was seen: bytes were written or freed. */
  lookAgain(): void {
    this.#rooms.clear();
  }

  /** What operators and trackers see. */
  report(): StorePathReport[] {
    return this.#states.map((_, index) => {
      const isThere = this.isReadable(index);
      const room = isThere ? this.#room(index) : undefined;
      const freeBytes = room === undefined ? 0 : this.#freeBytes(room);
      const found = this.#states[index] ??
        { state: "missing", reason: undefined };
      // Room for a few small files is no room for a group.
      const isFull = found.state === "writable" && freeBytes < GIB / 1024;
      const reason = isFull ? "full up to its reserve" : found.reason;
      return {
        index,
        totalBytes: room?.totalBytes ?? 0,
        freeBytes,
        state: isFull ? "full" : found.state,
        ...(reason === undefined ? {} : { reason: reason.slice(0, 300) }),
        ...this.#refill(index),
      };
    });
  }

  #refill(index: number): { readonly refillFiles?: number } {
    const refillFiles = this.refills?.filesOn(index) ?? 0;
    return refillFiles === 0 ? {} : { refillFiles };
  }

  #reasons(): string[] {
    return this.#states.flatMap(({ state, reason }, index) => {
      if (state === "writable") return [];
      const why = reason === undefined ? "" : `: ${reason}`;
      return [`M${hexByte(index)} is ${state}${why}`];
    });
  }

  /** One line per path that needs a person, or time. */
  alarms(): string[] {
    const refills = this.#states.flatMap((_, index) => {
      const { refillFiles } = this.#refill(index);
      if (refillFiles === undefined) return [];
      return [`M${hexByte(index)} is being filled again: ${refillFiles} to go`];
    });
    return [...this.#reasons(), ...refills]
      .map((line) => `store path ${line}`.slice(0, 300));
  }
}
