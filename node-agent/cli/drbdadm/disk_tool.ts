/** Runs a metadata tool on disks that nobody uses, and tells its failure. */

import type { VolumeConfig } from "@kedge/schema/drbd-conf";
import { loadMetaTools, type MetaTools } from "../mirror_module.ts";
import { volumesOf } from "./daemon_commands.ts";
import type { Session, Target } from "./session.ts";
import { metaLine } from "./setup_lines.ts";

/** A device that is in use, or cannot be opened: drbdmeta's exit code. */
export const EXIT_DEVICE = 20;

/** DRBD's numbers for a device that is not there, or not to be opened. */
export const NOT_OPEN: ReadonlySet<number> = new Set([104, 105, 114, 115]);

/** Say that a device cannot be opened, and why. Returns the exit code. */
export function tellNotOpen(
  session: Session,
  { text, detail }: { readonly text: string; readonly detail: string },
): number {
  session.warn(`${text}\n  ${detail}`);
  return EXIT_DEVICE;
}

/** A command of drbdmeta. */
export interface Tool {
  readonly command: string;
  readonly action: DiskAction;
}

/** What a tool does with the disk of one volume. */
export type DiskAction = (
  session: Session,
  volume: VolumeConfig,
  tools: MetaTools,
) => Promise<number>;

/** Run a tool for every volume with a disk. Returns the highest exit code. */
export async function forEachDisk(
  session: Session,
  how: Tool,
): Promise<number> {
  let exit = 0;
  for (const target of session.targets()) {
    for (const volume of volumesOf(target)) {
      exit = Math.max(exit, await onDisk(session, target, volume, how));
    }
  }
  return exit;
}

/** Run a tool for one volume; its failure is told as drbdadm does. */
export async function onDisk(
  session: Session,
  target: Target,
  volume: VolumeConfig,
  { command, action }: Tool,
): Promise<number> {
  if (volume.disk === undefined) return 0;
  const line = metaLine(command, volume, extraOf(session));
  session.trace(line);
  if (session.isDry) return 0;
  const code = await isAttached(session, target, volume)
    ? inUse(session, target, { volume, command })
    : await action(session, volume, await loadMetaTools());
  if (code !== 0) {
    session.warn(`Command '${line}' terminated with exit code ${code}`);
  }
  return code;
}

function extraOf(session: Session): [string, string][] {
  return [...session.line.setup].map(([name, value]) => [
    name,
    value === "yes" ? "" : value,
  ]);
}

/** Whether the daemon has the disk of a volume. */
export async function isAttached(
  session: Session,
  { config }: Target,
  { volume }: VolumeConfig,
): Promise<boolean> {
  const resource = await session.running(config.name);
  const status = resource?.volumes.find((each) => each.volume === volume);
  return status !== undefined && status.state.disk !== "Diskless";
}

function inUse(
  session: Session,
  { config }: Target,
  { volume, command }: {
    readonly volume: VolumeConfig;
    readonly command: string;
  },
): number {
  session.warn(
    `Device '${volume.minor}' is configured!\n` +
      `  ${command} needs a disk that nobody uses; ` +
      `run "drbdadm detach ${config.name}" or "drbdadm down ${config.name}"`,
  );
  return EXIT_DEVICE;
}
