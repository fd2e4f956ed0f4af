/**
 * Who may connect, by address: `allow_hosts`.
 *
 * ```text
 * *                      everybody
 * 10.0.1.20              one address, also IPv6
 * 192.168.5.0/26         a network
 * 10.0.1.[1-15,20]       ranges in the last part of an IPv4 address (FastDFS)
 * ```
 *
 * Names of hosts are not taken: who answers for a name may change. Pure.
 *
 * @module
 */

import { BlockList, isIP } from "node:net";

/** Who may connect. */
export interface AllowedHosts {
  /** Whether this address, as text, may. */
  allows(address: string): boolean;
}

/** Callers on this machine. */
export const LOOPBACK_HOSTS: readonly string[] = ["127.0.0.0/8", "::1"];

const RANGES = /^(\d{1,3}\.\d{1,3}\.\d{1,3}\.)\[([\d,\-\s]{1,200})\]$/;
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** Whether a text can stand in `allow_hosts`. */
export function isAllowedHost(text: string): boolean {
  return text === "*" || addTo(new BlockList(), text);
}

/**
 * Read a list.
 *
 * @param hosts Each fit for {@linkcode isAllowedHost}.
 * @throws {RangeError} For one that is not.
 *
 * @example
 * ```ts
 * import { allowedHosts } from "@kedge/schema/config/allow-hosts";
 * import assert from "node:assert/strict";
 *
 * const hosts = allowedHosts(["10.0.1.[1-15,20]", "192.168.5.0/26"]);
 * assert(hosts.allows("10.0.1.20"));
 * assert(!hosts.allows("10.0.1.16"));
 * ```
 */
export function allowedHosts(hosts: readonly string[]): AllowedHosts {
  if (hosts.includes("*")) return { allows: () => true };
  const list = new BlockList();
  for (const host of hosts) {
    if (!addTo(list, host)) throw new RangeError(`Cannot allow "${host}"`);
  }
  return {
    allows(address) {
      const plain = MAPPED.exec(address)?.[1] ?? address;
      const family = isIP(plain);
      if (family === 0) return false;
      return list.check(plain, family === 4 ? "ipv4" : "ipv6");
    },
  };
}

function addTo(list: BlockList, text: string): boolean {
  const [address = "", prefix, ...more] = text.split("/");
  if (more.length > 0) return false;
  if (prefix !== undefined) return addNetwork(list, address, prefix);
  if (isIP(address) !== 0) {
    list.addAddress(address, familyOf(address));
    return true;
  }
  return addRanges(list, text);
}

function addNetwork(
  list: BlockList,
  address: string,
  prefix: string,
): boolean {
  const bits = /^\d{1,3}$/.test(prefix) ? Number(prefix) : NaN;
  const family = isIP(address);
  if (family === 0 || !(bits <= (family === 4 ? 32 : 128))) return false;
  list.addSubnet(address, bits, familyOf(address));
  return true;
}

function addRanges(list: BlockList, text: string): boolean {
  const [, base, inside] = RANGES.exec(text) ?? [];
  if (base === undefined || inside === undefined) return false;
  for (const part of inside.split(",")) {
    const [, first, last = first] = /^\s*(\d{1,3})(?:-(\d{1,3}))?\s*$/
      .exec(part) ?? [];
    const [from, to] = [`${base}${first}`, `${base}${last}`];
    if (isIP(from) !== 4 || isIP(to) !== 4) return false;
    if (Number(first) > Number(last)) return false;
    list.addRange(from, to, "ipv4");
  }
  return true;
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 4 ? "ipv4" : "ipv6";
}
