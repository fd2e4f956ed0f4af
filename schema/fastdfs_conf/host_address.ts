/**
 * Which address of a host others are told: `if_alias_prefix`.
 *
 * @module
 */

import { BlockList, isIP } from "node:net";

/** One address of one interface. */
export interface HostAddress {
  /** Name of the interface, such as `eth0`. */
  readonly name: string;
  readonly address: string;
  /** Such as `10.0.0.5/24`. */
  readonly cidr: string;
}

/**
 * Choose one: of the interfaces that begin with the prefix, if any does;
 * else the one in the tracker's network, as FastDFS tells the address from which
 * it reached its tracker; else the first. IPv4 before IPv6.
 *
 * @returns `undefined` when the host has none but its own loopback.
 */
export function ownAddress(
  addresses: readonly HostAddress[],
  wanted: {
    readonly prefix: string | undefined;
    /** Address of a tracker; a name chooses nothing. */
    readonly toward: string | undefined;
  },
): string | undefined {
  const usable = addresses.filter(({ address }) =>
    !/^(127\.|169\.254\.|::1$|fe80:)/i.test(address)
  );
  const { prefix = "", toward } = wanted;
  // "eth0:" names the aliases of eth0 in FastDFS's samples.
  const named = usable.filter(({ name }) =>
    prefix !== "" && name.startsWith(prefix)
  );
  const near = usable.filter(({ cidr }) =>
    toward !== undefined && isInside(toward, cidr)
  );
  return inOrder(named)[0] ?? inOrder(near)[0] ?? inOrder(usable)[0];
}

function inOrder(addresses: readonly HostAddress[]): string[] {
  const all = addresses.map(({ address }) => address);
  return [
    ...all.filter((address) => isIP(address) === 4),
    ...all.filter((address) => isIP(address) === 6),
  ];
}

function isInside(address: string, cidr: string): boolean {
  const [network = "", bits = ""] = cidr.split("/");
  const family = isIP(network);
  if (family === 0 || isIP(address) !== family || bits === "") return false;
  const list = new BlockList();
  const kind = family === 4 ? "ipv4" : "ipv6";
  list.addSubnet(network, Number(bits), kind);
  return list.check(address, kind);
}
