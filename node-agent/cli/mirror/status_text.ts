/** `kedge mirror status`: one line per volume. Pure. */

import type { MirrorStatus } from "@kedge/schema/mirror/control-api";

/** The lines; a hint when nothing runs. */
export function mirrorStatusLines(status: MirrorStatus): string[] {
  const head = `kedge ${status.version}, process ${status.pid}`;
  if (status.resources.length === 0) {
    return [head, 'no volumes; "drbdadm up all" starts those of drbd.conf'];
  }
  const lines = status.resources.flatMap((resource) =>
    resource.volumes.map(({ volume, state, device, deviceNode }) => {
      const { role, connection, disk, peerDisk, peerRole } = state;
      const where = deviceNode ?? resource.exports[0] ?? device;
      return `${resource.resource}/${volume}  ${role}/${peerRole}  ` +
        `${connection}  ${disk}/${peerDisk}  ${where}`;
    })
  );
  return [head, ...lines];
}
