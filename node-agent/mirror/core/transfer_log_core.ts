/**
 * The Primary's writes between their submission and the moment when they are
 * stable on both disks (DRBD's transfer log).
 *
 * Two queues in the order of submission: `unanswered` (the application waits)
 * and `unstable` (a crash here or there may lose it, so its extents stay in the
 * activity log, and a lost connection marks it out of sync).
 *
 * @module
 */

/** One write. */
export interface LoggedWrite {
  readonly offset: number;
  readonly lengthBytes: number;
  /** Its number among the frames of this connection; 0: not replicated. */
  sequence: number;
  /** Its number among all writes of this node, for the local flush. */
  readonly ordinal: number;
  /** Whether it is on the local disk (not yet stable). */
  isLocal: boolean;
  /** Whether its extents are held in the activity log. */
  isLogged: boolean;
  /** Submits it again; kept while nobody may answer without data. */
  readonly again: (() => void) | undefined;
  /** Answers the application; undefined once that is done. */
  done: ((ok: boolean) => void) | undefined;
}

/** See the module comment. */
export class TransferLog {
  #unanswered: LoggedWrite[] = [];
  #unstable: LoggedWrite[] = [];
  #unstableBytes = 0;

  /** How many writes wait for both disks. */
  get unstableWrites(): number {
    return this.#unstable.length;
  }

  /** Their bytes. */
  get unstableBytes(): number {
    return this.#unstableBytes;
  }

  /** How many writes the application waits for. */
  get unansweredWrites(): number {
    return this.#unanswered.length;
  }

  /** A write was submitted. With `done` the application waits for it. */
  add(write: LoggedWrite): void {
    this.#unstable.push(write);
    this.#unstableBytes += write.lengthBytes;
    if (write.done !== undefined) this.#unanswered.push(write);
  }

  /** Take the oldest unanswered writes as long as `ready` says so. */
  takeAnswerable(ready: (write: LoggedWrite) => boolean): LoggedWrite[] {
    let count = 0;
    while (
      count < this.#unanswered.length &&
      ready(this.#unanswered[count] as LoggedWrite)
    ) count++;
    return count === 0 ? [] : this.#unanswered.splice(0, count);
  }

  /** Take the unanswered writes that no good disk has. */
  takeHomeless(hasNoDisk: (write: LoggedWrite) => boolean): LoggedWrite[] {
    const isHomeless = (write: LoggedWrite) =>
      write.again !== undefined && hasNoDisk(write);
    const homeless = this.#unanswered.filter(isHomeless);
    if (homeless.length === 0) return [];
    this.#unanswered = this.#unanswered.filter((each) => !isHomeless(each));
    this.#unstable = this.#unstable.filter((each) => !isHomeless(each));
    for (const write of homeless) this.#unstableBytes -= write.lengthBytes;
    return homeless;
  }

  /** Take the oldest unstable writes as long as `stable` says so. */
  takeStable(stable: (write: LoggedWrite) => boolean): LoggedWrite[] {
    let count = 0;
    while (
      count < this.#unstable.length &&
      stable(this.#unstable[count] as LoggedWrite)
    ) count++;
    const taken = count === 0 ? [] : this.#unstable.splice(0, count);
    for (const write of taken) this.#unstableBytes -= write.lengthBytes;
    return taken;
  }

  /** The writes that are not stable everywhere, oldest first. */
  unstable(): readonly LoggedWrite[] {
    return this.#unstable;
  }

  /** The local disk is gone, and its activity log with it. */
  forgetDisk(): void {
    for (const write of this.#unstable) {
      write.isLocal = false;
      write.isLogged = false;
    }
  }

  /** The peer is gone: none of them is replicated any more. */
  forgetPeer(): void {
    for (const write of this.#unstable) write.sequence = 0;
  }
}
