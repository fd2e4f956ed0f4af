/**
 * Two hosts that mirror one disk, each with a loop device for it: the least
 * that a test of file systems needs.
 *
 * @module
 */

import { MirrorHosts } from "./mirror_hosts.ts";
import type { Scope } from "./scope.ts";

const CONF = `
resource data {
  device /dev/drbd1;
  disk /dev/data/mysql;
  meta-disk internal;
  net { protocol C; max-buffers 8192; }
  disk { c-plan-ahead 0; resync-rate 1G; }
  on first { address 192.168.8.61:7789; }
  on second { address 192.168.8.62:7789; }
}
`;

/**
 * Hosts `first` and `second` with the resource `data`, up and connected for
 * the first time.
 *
 * @param diskBytes Size of each disk, its metadata included.
 */
export async function startDataHosts(
  scope: Scope,
  diskBytes: number,
): Promise<MirrorHosts> {
  const host = (name: string, address: string) => ({
    name,
    address,
    diskBytes,
    files: { "/etc/drbd.conf": CONF },
  });
  const hosts = await MirrorHosts.start(scope, [
    host("first", "192.168.8.61/24"),
    host("second", "192.168.8.62/24"),
  ]);
  for (const each of [hosts.a, hosts.b]) {
    await each.must("drbdadm create-md data && drbdadm up data");
  }
  return hosts;
}
