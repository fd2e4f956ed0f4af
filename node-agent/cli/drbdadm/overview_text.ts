/**
 * `drbd-overview`, as the script of 8.4 prints it. Pure.
 *
 * ```text
 *   0:drbd/0  Connected Primary/Secondary UpToDate/UpToDate C r----- /mnt ext4 2.0G 68M 1.9G 4%
 * ```
 *
 * Source: reference of DRBD, §6.4.
 *
 * @module
 */

import type {
  MirrorStatus,
  VolumeStatus,
} from "@kedge/schema/mirror/control-api";
import { flagsText, progressLines, protocolLetter } from "./proc_drbd_text.ts";

/** A mounted file system. */
export interface MountUse {
  readonly mountPoint: string;
  readonly type: string;
  readonly sizeBytes: number;
  readonly usedBytes: number;
  readonly availableBytes: number;
}

/** What uses a volume; undefined: nothing that is known. */
export type UseOf = (volume: VolumeStatus) => MountUse | undefined;

/** The lines; columns are as wide as their widest word. */
export function overviewLines(status: MirrorStatus, useOf: UseOf): string[] {
  const volumes = status.resources.flatMap(({ volumes }) => volumes)
    .sort((a, b) => a.minor - b.minor);
  const rows = volumes.map((volume) => [
    `${String(volume.minor).padStart(3)}:${volume.resource}/${volume.volume} `,
    volume.state.connection,
    `${volume.state.role}/${volume.state.peerRole}`,
    `${volume.state.disk}/${volume.state.peerDisk}`,
  ]);
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))
  );
  return volumes.flatMap((volume, index) => {
    const columns = (rows[index] ?? [])
      .map((word, column) => word.padEnd(widths[column] ?? 0));
    const use = useOf(volume);
    const letter = protocolLetter(volume).trim();
    const line = [
      ...columns,
      ...(letter === "" ? [] : [letter]),
      flagsText(volume),
      ...(use === undefined ? [] : [useText(use)]),
    ].join(" ");
    return [line.trimEnd(), ...progressLines(volume).slice(0, 1)];
  });
}

/** `/mnt ext4 2.0G 68M 1.9G 4%`: where, type, size, used, available, use. */
export function useText(use: MountUse): string {
  const { sizeBytes, usedBytes, availableBytes } = use;
  const usable = usedBytes + availableBytes;
  const percent = usable === 0 ? 0 : Math.ceil(100 * usedBytes / usable);
  return [
    use.mountPoint,
    use.type,
    ...[sizeBytes, usedBytes, availableBytes].map(shortSize),
    `${percent}%`,
  ].join(" ");
}

/** As `df -h`: rounded up, one digit behind the point below ten. */
export function shortSize(bytes: number): string {
  let size = bytes;
  let unit = 0;
  while (size >= 1024 && unit < 5) {
    size /= 1024;
    unit++;
  }
  if (unit === 0) return String(size);
  const tenths = Math.ceil(size * 10) / 10;
  const text = tenths < 10 ? tenths.toFixed(1) : String(Math.ceil(size));
  return `${text}${"BKMGTP"[unit]}`;
}
