/** Commands for the metadata of disks that nobody uses. */

import type { VolumeConfig } from "@kedge/schema/drbd-conf";
import { loadMetaTools, type MetaTools } from "../mirror_module.ts";
import { volumesOf } from "./daemon_commands.ts";
import { diskPaths } from "./offline.ts";
import { confirm } from "./confirm.ts";
import type { Session, Target } from "./session.ts";
import { metaLine } from "./setup_lines.ts";

/** A device that is in use, or cannot be opened: drbdmeta's exit code. */
const EXIT_DEVICE = 20;

/** What a tool does with the disk of one volume. */
export type DiskAction = (
  session: Session,
  volume: VolumeConfig,
  tools: MetaTools,
) => Promise<number>;

/** Run a tool for every volume with a disk. Returns the highest exit code. */
export async function forEachDisk(
  session: Session,
  { command, action }: {
    readonly command: string;
    readonly action: DiskAction;
  },
): Promise<number> {
  let exit = 0;
  for (const target of session.targets()) {
    for (const volume of volumesOf(target)) {
      if (volume.disk === undefined) continue;
      session.trace(metaLine(command, volume, extraOf(session)));
      if (session.isDry) continue;
      const code = await isAttached(session, target, volume)
        ? inUse(session, target, { volume, command })
        : await action(session, volume, await loadMetaTools());
      if (code !== 0 && code !== 1) {
        session.warn(
          `Command '${metaLine(command, volume, extraOf(session))}' ` +
            `terminated with exit code ${code}`,
        );
      }
      exit = Math.max(exit, code);
    }
  }
  return exit;
}

function extraOf(session: Session): [string, string][] {
  return [...session.line.setup].map(([name, value]) => [
    name,
    value === "yes" ? "" : value,
  ]);
}

async function isAttached(
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

const createMd: DiskAction = async (session, volume, tools) => {
  const paths = diskPaths(volume);
  if (paths === undefined) return 0;
  const devices = tools.openDevices(paths);
  if ("problem" in devices) {
    session.warn(`${devices.problem.text}\n  ${devices.problem.detail}`);
    return EXIT_DEVICE;
  }
  try {
    const options = { alNrExtents: volume.options.alExtents };
    const { questions, refusal } = tools.planCreate(devices.source, options);
    if (!await confirm(session, questions, tools)) {
      return tools.CREATE_CANCELLED;
    }
    const isConfirmed = true;
    const result = refusal === undefined
      ? tools.createMetadata(devices.source, { ...options, isConfirmed })
      : { kind: "refused" as const, refusal };
    const { out, err } = session.context;
    if (result.kind === "confirm") return tools.CREATE_CANCELLED;
    if (result.kind === "refused") {
      out.write(result.refusal.stdout);
      err.write(result.refusal.stderr);
      return result.refusal.exitCode;
    }
    err.write(result.stderr);
    out.write(result.stdout);
    return 0;
  } finally {
    devices.close();
  }
};

/** Actions by name. */
export const COMMANDS = {
  "create-md": (session: Session) =>
    forEachDisk(session, { command: "create-md", action: createMd }),
} as const;
