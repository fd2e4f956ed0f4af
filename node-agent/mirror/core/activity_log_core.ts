/**
 * The activity log: which 4 MiB extents may differ after a crash.
 *
 * A write may start only when its extents are in the log **on disk**; an extent
 * leaves the log only when nobody refers to it (all its writes are stable here
 * and at the peer) and after the bitmap pages that cover it were saved. This
 * class decides which slots change; writing the transaction is an effect, at
 * most one at a time, and everything that waits meanwhile goes into the next.
 *
 * Source: DRBD 8.4 §4.2 of the reference (activity log), promises.md B11.
 *
 * @module
 */

/** One extent, in bytes of device. */
export const EXTENT_BYTES = 4 * 1024 * 1024;

/** A free slot, as it is on disk. */
export const FREE_EXTENT = 0xffff_ffff;

/** The most slots that one transaction changes (DRBD's on-disk format). */
export const SLOT_CHANGES_MAX = 64;

/** A slot gets another extent. */
export interface SlotChange {
  readonly slot: number;
  /** The extent that is in the slot from now on. */
  readonly extent: number;
  /** The extent that left it; {@link FREE_EXTENT}: it was free. */
  readonly evicted: number;
}

interface Slot {
  extent: number;
  references: number;
  /** On disk: writes may start. */
  active: boolean;
  lastUse: number;
}

/** The log of one volume; see the module comment. */
export class ActivityLog {
  readonly #slots: Slot[];
  readonly #slotOf = new Map<number, number>();
  #turn = 0;
  #used = 0;
  #inTransaction: SlotChange[] | undefined;
  readonly #wanted = new Set<number>();
  /** What the longest waiter needs: two of them must not evict each other's. */
  #promised: readonly [first: number, last: number] | undefined;

  /**
   * @param slots How many extents may be active (`al-extents`).
   * @param extentBytes Size of one; other than {@link EXTENT_BYTES} in
   *   simulations only.
   */
  constructor(slots: number, readonly extentBytes: number = EXTENT_BYTES) {
    this.#slots = newSlots(slots);
  }

  /** What is in each slot, for the context of a transaction and for tests. */
  extents(): number[] {
    return this.#slots.map((slot) => slot.extent);
  }

  /** Whether a transaction is being written. */
  get busy(): boolean {
    return this.#inTransaction !== undefined;
  }

  /** How many extents have writes that are not stable everywhere. */
  get used(): number {
    return this.#used;
  }

  /** Whether somebody waits for an extent that is not in the log. */
  get hasWaiters(): boolean {
    return this.#wanted.size > 0;
  }

  /** Another number of slots, all free: the log on disk is about to be made new. */
  resize(slots: number): void {
    this.#slots.length = 0;
    this.#slots.push(...newSlots(slots));
    this.reset();
  }

  /** Forget everything: the log on disk was made new. */
  reset(): void {
    for (const slot of this.#slots) {
      slot.extent = FREE_EXTENT;
      slot.references = 0;
      slot.active = false;
    }
    this.#used = 0;
    this.#slotOf.clear();
    this.#wanted.clear();
    this.#promised = undefined;
    this.#inTransaction = undefined;
  }

  /**
   * Refer to all extents of a range if all are active.
   *
   * @returns Whether it was done. If not, the missing ones are wanted: write
   *   what {@link nextTransaction} says and try again.
   */
  acquire(offset: number, lengthBytes: number): boolean {
    const [first, last] = extentsOf(
      offset,
      lengthBytes,
      this.extentBytes,
    );
    let active = true;
    for (let extent = first; extent <= last; extent++) {
      const slot = this.#activeSlot(extent);
      if (slot !== undefined) {
        slot.lastUse = ++this.#turn; // not the next victim of its neighbour
        continue;
      }
      active = false;
      if (!this.#slotOf.has(extent)) this.#wanted.add(extent);
    }
    if (!active) {
      this.#promised ??= [first, last];
      return false;
    }
    for (let extent = first; extent <= last; extent++) {
      const slot = this.#activeSlot(extent);
      if (slot === undefined) continue;
      if (slot.references++ === 0) this.#used++;
      slot.lastUse = ++this.#turn;
    }
    return true;
  }

  /** Give back what {@link acquire} took. */
  release(offset: number, lengthBytes: number): void {
    const [first, last] = extentsOf(
      offset,
      lengthBytes,
      this.extentBytes,
    );
    for (let extent = first; extent <= last; extent++) {
      const slot = this.#activeSlot(extent);
      if (slot === undefined || slot.references === 0) continue;
      if (--slot.references === 0) this.#used--;
    }
  }

  /**
   * Choose slots for what is wanted.
   *
   * @returns The changes of the next transaction; empty when one is being
   *   written, nothing is wanted, or every slot is referred to ({@link starved}).
   */
  nextTransaction(): readonly SlotChange[] {
    if (this.#inTransaction !== undefined) return [];
    const changes: SlotChange[] = [];
    for (const extent of this.#inOrder()) {
      if (changes.length === SLOT_CHANGES_MAX) break;
      const slot = this.#victim();
      if (slot === undefined) break;
      const place = this.#slots[slot];
      if (place === undefined) break;
      changes.push({ slot, extent, evicted: place.extent });
      if (place.extent !== FREE_EXTENT) this.#slotOf.delete(place.extent);
      Object.assign(place, { extent, active: false, lastUse: ++this.#turn });
      this.#slotOf.set(extent, slot);
      this.#wanted.delete(extent);
    }
    if (changes.length > 0) this.#inTransaction = changes;
    return changes;
  }

  /** Whether waiters can only go on when references are given back. */
  get starved(): boolean {
    return this.hasWaiters && !this.busy && this.#victim() === undefined;
  }

  /** The transaction is stable: its extents are active. */
  committed(): void {
    for (const { slot } of this.#inTransaction ?? []) {
      const place = this.#slots[slot];
      if (place !== undefined) place.active = true;
    }
    this.#inTransaction = undefined;
    this.#promised = undefined;
  }

  /** What is wanted; the longest waiter's comes first. */
  #inOrder(): readonly number[] {
    const wanted = [...this.#wanted];
    return [
      ...wanted.filter((extent) => this.#isPromised(extent)),
      ...wanted.filter((extent) => !this.#isPromised(extent)),
    ];
  }

  #isPromised(extent: number): boolean {
    const [first, last] = this.#promised ?? [1, 0];
    return extent >= first && extent <= last;
  }

  #activeSlot(extent: number): Slot | undefined {
    const index = this.#slotOf.get(extent);
    const slot = index === undefined ? undefined : this.#slots[index];
    return slot?.active ? slot : undefined;
  }

  /** A free slot, else the longest unused one that nobody refers to. */
  #victim(): number | undefined {
    let best: number | undefined;
    let bestUse = Infinity;
    for (const [index, slot] of this.#slots.entries()) {
      if (slot.extent === FREE_EXTENT) return index;
      const isFree = slot.active && slot.references === 0 &&
        !this.#isPromised(slot.extent);
      if (isFree && slot.lastUse < bestUse) {
        best = index;
        bestUse = slot.lastUse;
      }
    }
    return best;
  }
}

function newSlots(slots: number): Slot[] {
  return Array.from({ length: slots }, () => ({
    extent: FREE_EXTENT,
    references: 0,
    active: false,
    lastUse: 0,
  }));
}

/** First and last extent that a range touches. */
export function extentsOf(
  offset: number,
  lengthBytes: number,
  extentBytes: number = EXTENT_BYTES,
): readonly [first: number, last: number] {
  return [
    Math.floor(offset / extentBytes),
    Math.floor((offset + Math.max(1, lengthBytes) - 1) / extentBytes),
  ];
}
