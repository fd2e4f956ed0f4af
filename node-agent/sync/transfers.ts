/**
 * Everything that moves file contents between nodes: serving them, pulling them,
 * relaying bodies, comparing stores, looking for a file.
 *
 * @module
 */

import type { NodeId, PeerAddress } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import type { WireRecord } from "@kedge/schema/wire/records";
import type { ContentSource, FetchOutcome, Relay } from "../ports.ts";
import { BodyRelay } from "./body_relay.ts";
import { BulkPool } from "./bulk_pool.ts";
import { BulkServer } from "./bulk_server.ts";
import { type CompareProgress, Comparer } from "./compare.ts";
import { ContentPuller } from "./content_puller.ts";
import { FileFinder } from "./fetch.ts";
import type { FrameLink } from "./frame_link.ts";
import type { LinkIdentity } from "./greeting.ts";
import { OpenWork } from "./open_work.ts";
import { NO_LIMITS, Pace } from "./pace.ts";
import type { ReplicatorOptions } from "./replicator_options.ts";
import { StagedBodies } from "./staged_bodies.ts";

/** What {@linkcode Transfers} has to know of the rest. */
export interface TransferContext {
  readonly identity: LinkIdentity;
  address(peer: NodeId): PeerAddress | undefined;
  /** Epoch of the saved register. */
  epoch(): number;
  /** Our index is whole: in sync, and nothing of it may have been lost. */
  isWhole(): boolean;
  /** We may serve reads now. */
  serves(): boolean;
  register(): ReturnType<ReplicatorOptions["log"]["register"]>;
  fileBytesMax(): number;
  /** The bytes of a file could not be read here. */
  broken(id: string): void;
  alarm(why: string): void;
}

/** See the module comment. */
export class Transfers {
  readonly #options: ReplicatorOptions;
  readonly #context: TransferContext;
  readonly #pool: BulkPool;
  readonly #bodies: StagedBodies;
  readonly #puller: ContentPuller;
  readonly #server: BulkServer;
  readonly #comparer: Comparer;
  readonly #finder: FileFinder;
  readonly #pace: Pace;
  /** Fetches and comparisons that may have seen files before their delete. */
  readonly open = new OpenWork();

  /** Nothing moves yet. */
  constructor(options: ReplicatorOptions, context: TransferContext) {
    const { files, log, group, logger, clock, transport, node } = options;
    const { identity, alarm } = context;
    const epoch = () => context.epoch();
    this.#options = options;
    this.#context = context;
    this.#pace = new Pace(clock, options.pace ?? NO_LIMITS);
    const pace = (bytes: number, files: number) =>
      this.#pace.take(bytes, files);
    const address = (peer: NodeId) => context.address(peer);
    const pool = new BulkPool({ identity, transport, clock, address, epoch });
    const bodies = new StagedBodies(files, clock);
    const puller = new ContentPuller({
      group,
      files,
      log,
      pool,
      bodies,
      alarm,
    });
    this.#pool = pool;
    this.#bodies = bodies;
    this.#puller = puller;
    this.#server = new BulkServer({
      group,
      files,
      log,
      logger,
      bodies,
      epoch,
      isWhole: () => context.isWhole(),
      serves: () => context.serves(),
      fileBytesMax: () => context.fileBytesMax(),
      broken: (id) => context.broken(id),
      adoptFrom: (peer, entries) =>
        this.open.during(() => puller.adoptFrom(peer, entries)),
    });
    this.#comparer = new Comparer({
      group,
      log,
      clock,
      logger,
      pool,
      puller,
      epoch,
      pace,
      alarm,
    });
    this.#finder = new FileFinder({
      node,
      group,
      files,
      log,
      logger,
      pool,
      register: () => context.register(),
      weKnow: () => context.serves(),
    });
  }

  /** How far the comparison is that runs now. */
  get progress(): CompareProgress | undefined {
    return this.#comparer.progress;
  }

  /** Answer a peer's requests until its bulk connection ends. */
  serve(peer: NodeId, link: FrameLink): Promise<void> {
    return this.#server.serve(peer, link);
  }

  /** The bytes of a record whose bytes did not come with it. */
  content(peer: NodeId, record: WireRecord): Promise<ContentSource> {
    return this.open.during(() => this.#puller.contentFor(peer, record));
  }

  /** Get the bytes of states that were stored without. */
  async missing(peer: NodeId, entries: readonly FileEntry[]): Promise<void> {
    await this.open.during(() => this.#puller.adoptFrom(peer, entries));
  }

  /** Compare with a member, both ways; whether we hold all of it now. */
  compare(donor: NodeId, epoch: number): Promise<boolean> {
    return this.open.during(() => this.#comparer.compare(donor, epoch));
  }

  /** See `Replicator.fetch` in ports.ts. */
  fetch(id: string, purpose: "repair" | "confirm"): Promise<FetchOutcome> {
    return this.open.during(() =>
      purpose === "confirm" ? this.#finder.confirm(id) : this.#finder.fetch(id)
    );
  }

  /** A relay to those of these peers that can take one more body now. */
  relay(linked: readonly NodeId[]): Relay | undefined {
    const peers = linked.filter((peer) => this.#pool.isFree(peer));
    if (peers.length === 0) return undefined;
    return new BodyRelay({
      pool: this.#pool,
      logger: this.#options.logger,
      peers,
      sizeBytesMax: this.#context.fileBytesMax(),
    });
  }

  /** Wait until so much background work may go. */
  pace(bytes: number, files: number): Promise<void> {
    return this.#pace.take(bytes, files);
  }

  /** Close what stalls, forget what is late. About every 100 ms. */
  tick(nowMs: number): void {
    this.#pool.tick(nowMs);
    this.#bodies.tick(nowMs);
  }

  /** Close everything. */
  async close(why: string): Promise<void> {
    this.#pace.stop();
    this.#pool.close(why);
    await this.#bodies.close();
  }
}
