/**
 * Who may wait at a port without having proven anything yet: at the peer port, a
 * mirror's port, the NBD port.
 *
 * Places are few, and anybody may connect and say nothing. So a new connection
 * is never turned away for old silent ones: the oldest that has not proven
 * itself goes. Strangers share few places per address and go first; addresses
 * of peers, and those that somebody has proven himself from, are not limited.
 * A real peer needs a few milliseconds, so it is through before its turn comes.
 *
 * @module
 */

/** Most connections that have not greeted yet: two peers' bulk connections. */
export const GREETINGS_MAX = 128;
/** Most of them from one address that nobody has proven himself from. */
export const STRANGERS_PER_ADDRESS_MAX = 4;
/** Addresses that are remembered because somebody has proven himself. */
const PROVEN_MAX = 64;

/** A place, given back when the greeting has ended. */
export interface Place {
  /** Address of the other end, without its port. */
  readonly host: string;
  /** Gives the place to a newer connection. */
  close(): void;
}

/** How many may wait. */
export interface DeskLimits {
  readonly placesMax: number;
  /** From one address that nobody has proven himself from. */
  readonly strangersPerAddressMax: number;
}

const LIMITS: DeskLimits = {
  placesMax: GREETINGS_MAX,
  strangersPerAddressMax: STRANGERS_PER_ADDRESS_MAX,
};

/** See the module comment. */
export class GreetingDesk {
  /** In the order of arrival. */
  readonly #places = new Set<Place>();
  readonly #proven = new Set<string>();
  #peers: ReadonlySet<string> = new Set();

  constructor(readonly limits: DeskLimits = LIMITS) {}

  /** Connections that wait. */
  get size(): number {
    return this.#places.size;
  }

  /** Addresses under which the members of the group can be reached. */
  setPeers(hosts: Iterable<string>): void {
    this.#peers = new Set(hosts);
  }

  /** A connection came; an older one may be closed for it. */
  enter(place: Place): void {
    const leaves = this.#whoLeaves(place.host);
    this.#places.add(place);
    this.#close(leaves);
  }

  /** Somebody goes for what needs its room elsewhere. False: nobody waits. */
  makeRoom(): boolean {
    return this.#close(this.#leastKnown());
  }

  /** The greeting ended. */
  leave(place: Place, isProven: boolean): void {
    this.#places.delete(place);
    if (!isProven) return;
    this.#proven.delete(place.host); // the newest stands last
    this.#proven.add(place.host);
    for (const oldest of this.#proven) {
      if (this.#proven.size <= PROVEN_MAX) break;
      this.#proven.delete(oldest);
    }
  }

  #whoLeaves(host: string): Place | undefined {
    const places = [...this.#places];
    if (!this.#isKnown(host)) {
      const same = places.filter((place) => place.host === host);
      if (same.length >= this.limits.strangersPerAddressMax) return same[0];
    }
    return places.length < this.limits.placesMax
      ? undefined
      : this.#leastKnown();
  }

  /** The oldest stranger, or the oldest one. */
  #leastKnown(): Place | undefined {
    const places = [...this.#places];
    return places.find((place) => !this.#isKnown(place.host)) ?? places[0];
  }

  #close(place: Place | undefined): boolean {
    if (place === undefined) return false;
    this.#places.delete(place);
    place.close();
    return true;
  }

  #isKnown(host: string): boolean {
    return this.#peers.has(host) || this.#proven.has(host);
  }
}

/** The address in `ADDRESS:PORT`, an IPv4 one also where IPv6 carries it. */
export function hostOf(remote: string): string {
  const host = remote.slice(0, remote.lastIndexOf(":"));
  return host.replace(/^::ffff:(?=\d+\.)/, "");
}
