/**
 * Who may wait at the peer port without having proven anything yet.
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

/** See the module comment. */
export class GreetingDesk {
  /** In the order of arrival. */
  readonly #places = new Set<Place>();
  readonly #proven = new Set<string>();
  #peers: ReadonlySet<string> = new Set();

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
    if (leaves === undefined) return;
    this.#places.delete(leaves);
    leaves.close();
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
      if (same.length >= STRANGERS_PER_ADDRESS_MAX) return same[0];
    }
    if (places.length < GREETINGS_MAX) return undefined;
    return places.find((place) => !this.#isKnown(place.host)) ?? places[0];
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
