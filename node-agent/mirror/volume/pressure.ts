/**
 * Holds back those who bring more than a volume can take: its clients, and its
 * peer.
 *
 * @module
 */

import { congestionFillOf } from "../core/congestion_core.ts";
import type { VolumeCore } from "../core/volume_core.ts";

/** Bytes queued to the peer after which no more requests are welcome (B5). */
const QUEUE_BYTES_MAX = 4 * 1024 * 1024;
/** Bytes queued to the peer after which nothing more of it is read. */
const ANSWERS_BYTES_MAX = 32 * 1024 * 1024;

/** See the module comment. */
export class Pressure {
  readonly #core: VolumeCore;
  readonly #queuedBytes: () => number;
  #clients: PromiseWithResolvers<void> | undefined;
  #peer: PromiseWithResolvers<void> | undefined;

  /** @param queuedBytes What waits for the peer to take it. */
  constructor(core: VolumeCore, queuedBytes: () => number) {
    this.#core = core;
    this.#queuedBytes = queuedBytes;
  }

  /** A promise while too much is under way, for those who bring more. */
  get ofClients(): Promise<void> | undefined {
    if (!this.#isFull()) return undefined;
    this.#clients ??= Promise.withResolvers<void>();
    return this.#clients.promise;
  }

  /** A promise while frames of the peer wait here, or their answers. */
  get ofPeer(): Promise<void> | undefined {
    return this.#isStuffed() ? this.#untilRoom() : undefined;
  }

  /** There may be room: let those go on who waited for it. */
  relieve(): void {
    if (!this.#isStuffed()) {
      this.#peer?.resolve();
      this.#peer = undefined;
    }
    if (this.#clients === undefined || this.#isFull()) return;
    this.#clients.resolve();
    this.#clients = undefined;
  }

  async #untilRoom(): Promise<void> {
    while (this.#isStuffed()) {
      this.#peer = Promise.withResolvers<void>();
      await this.#peer.promise;
    }
  }

  #isStuffed(): boolean {
    return this.#core.replica.isFull ||
      this.#queuedBytes() > ANSWERS_BYTES_MAX;
  }

  #isFull(): boolean {
    return this.#core.writes.isFull || this.#queuedBytes() > this.#queueMax();
  }

  /** What waits for a slow peer: more, where that has a limit of its own. */
  #queueMax(): number {
    const fill = congestionFillOf(this.#core.config);
    return QUEUE_BYTES_MAX + (fill === Infinity ? 0 : fill);
  }
}
