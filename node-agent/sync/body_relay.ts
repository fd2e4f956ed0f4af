/**
 * Sends a large body to the peers that will have to have it while it is still
 * arriving here (cut-through). A lane that fails or stalls is given up: its peer
 * asks for the bytes later, when it gets the record.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import { StagedOk } from "@kedge/schema/wire/sync";
import type { Log, Relay } from "../ports.ts";
import type { BulkCall, BulkPool } from "./bulk_pool.ts";
import { sendBytes } from "./bulk_server.ts";

/** How long one write may wait for a peer, in milliseconds. */
const WRITE_MS_MAX = 2000;
/** How long a peer may take to stage the end of a body, in milliseconds. */
const FINISH_MS_MAX = 5000;

/** The way to one peer. */
interface Lane {
  readonly peer: NodeId;
  readonly call: Promise<BulkCall | undefined>;
  isGivenUp: boolean;
}

/** What {@linkcode BodyRelay} works with. */
export interface BodyRelayOptions {
  readonly pool: BulkPool;
  readonly logger: Log;
  /** Who will have to have the body. */
  readonly peers: readonly NodeId[];
  /** Largest body, in bytes. */
  readonly sizeBytesMax: number;
}

/** See the module comment. Connects with the first byte. */
export class BodyRelay implements Relay {
  readonly #options: BodyRelayOptions;
  #lanes: Lane[] | undefined;

  /** A relay that has taken nothing yet. */
  constructor(options: BodyRelayOptions) {
    this.#options = options;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const lanes = this.#lanes ??= this.#options.peers.map((peer) =>
      this.#open(peer)
    );
    await Promise.all(lanes.map((lane) =>
      this.#limit(
        lane,
        WRITE_MS_MAX,
        async (call) => {
          const isSent = await sendBytes(call, bytes);
          await call.link.written();
          return isSent;
        },
      )
    ));
  }

  async finish(): Promise<void> {
    await Promise.all((this.#lanes ?? []).map(async (lane) => {
      const isDone = await this.#limit(lane, FINISH_MS_MAX, async (call) => {
        call.say("end", { ok: true });
        call.parse(StagedOk, await call.hear("staged"));
        return true;
      });
      const call = await lane.call;
      if (isDone && call !== undefined) this.#release(lane, call, true);
    }));
  }

  abort(): void {
    for (const lane of this.#lanes ?? []) {
      void lane.call.then((call) => {
        if (call === undefined || lane.isGivenUp) return;
        this.#release(lane, call, false);
      });
    }
  }

  #open(peer: NodeId): Lane {
    const { pool, sizeBytesMax } = this.#options;
    // Waiting for a connection would make the client wait.
    if (!pool.isFree(peer)) {
      return { peer, call: Promise.resolve(undefined), isGivenUp: true };
    }
    const call = pool.acquire(peer).then((call) => {
      call.say("stage", { sizeBytesMax });
      return call;
    }, () => undefined);
    return { peer, call, isGivenUp: false };
  }

  /** Do something on a lane; give it up when that fails or takes too long. */
  async #limit(
    lane: Lane,
    limitMs: number,
    work: (call: BulkCall) => Promise<boolean>,
  ): Promise<boolean> {
    if (lane.isGivenUp) return false;
    const { promise: late, resolve } = Promise.withResolvers<false>();
    const timer = setTimeout(() => resolve(false), limitMs);
    const done = lane.call.then((call) =>
      call === undefined || lane.isGivenUp ? false : work(call)
    ).catch(() => false);
    const isDone = await Promise.race([done, late]);
    clearTimeout(timer);
    if (!isDone) this.#giveUp(lane);
    return isDone;
  }

  #giveUp(lane: Lane): void {
    if (lane.isGivenUp) return;
    lane.isGivenUp = true;
    this.#options.logger.info("a body is not relayed any more", {
      peer: lane.peer,
    });
    void lane.call.then((call) => {
      if (call !== undefined) this.#release(lane, call, false);
    });
  }

  #release(lane: Lane, call: BulkCall, isClean: boolean): void {
    lane.isGivenUp = true;
    this.#options.pool.release(lane.peer, call, isClean);
  }
}
