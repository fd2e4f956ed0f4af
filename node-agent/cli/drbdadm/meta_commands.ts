/** Commands for the metadata of disks that nobody uses. */

import type { VolumeConfig } from "@kedge/schema/drbd-conf";
import { generationText } from "@kedge/schema/disk/metadata-text";
import type { MetaTools } from "../mirror_module.ts";
import { confirm } from "./confirm.ts";
import { createMd } from "./create_md.ts";
import { runFor, volumesOf } from "./daemon_commands.ts";
import {
  type DiskAction,
  forEachDisk,
  isAttached,
  NOT_OPEN,
  onDisk,
  tellNotOpen,
} from "./disk_tool.ts";
import { liveGenerations } from "./live_generations.ts";
import { diskPaths } from "./offline.ts";
import { SETUP_EXIT } from "./replies.ts";
import type { Session } from "./session.ts";
import { metaLine, setupLine } from "./setup_lines.ts";
import { drawing, showGiText } from "./show_gi_text.ts";

/** No metadata where some is needed: drbdmeta's exit code and text. */
const EXIT_NO_METADATA = 1;
const NO_METADATA = "No valid meta data found";

/** Metadata that was opened. */
type Meta = ReturnType<MetaTools["createMetadata"]> extends infer Result
  ? Result extends { readonly meta: infer Found } ? Found : never
  : never;

/** What a tool for metadata is given beside it. */
interface OnMeta {
  readonly session: Session;
  readonly volume: VolumeConfig;
  readonly tools: MetaTools;
}

/** A tool that needs metadata, which is there. */
function onMetadata(
  act: (meta: Meta, given: OnMeta) => number | Promise<number>,
): DiskAction {
  return onFoundDisk(({ meta }, given) => act(meta, given));
}

/** A disk with metadata. */
type Found = Exclude<ReturnType<MetaTools["openDisk"]>, { problem: unknown }>;

/** A tool that needs a disk with metadata. */
function onFoundDisk(
  act: (disk: Found, given: OnMeta) => number | Promise<number>,
): DiskAction {
  return async (session, volume, tools) => {
    const paths = diskPaths(volume, tools, session.sizesDir);
    if (paths === undefined) return 0;
    const disk = tools.openDisk(paths);
    if ("problem" in disk && NOT_OPEN.has(disk.problem.code)) {
      return tellNotOpen(session, disk.problem);
    }
    if ("problem" in disk) {
      session.warn(NO_METADATA);
      session.warn(`  ${disk.problem.detail}`);
      return EXIT_NO_METADATA;
    }
    try {
      return await act(disk, { session, volume, tools });
    } finally {
      disk.close();
    }
  };
}

const applyAl = onMetadata((meta, { session, tools }) => {
  const result = tools.applyActivityLog(meta);
  session.context.out.write(tools.applyText(result));
  if (result.kind === "full-sync") {
    session.warn(`full resync: ${result.reason}`);
  }
  return 0;
});

const dumpMd = onMetadata((meta, { session, volume, tools }) => {
  if (meta.needsActivityLog) session.warn(tools.UNCLEAN_WARNING.trimEnd());
  session.context.out.write(tools.dumpMetadata(meta, {
    date: dumpDate(new Date()),
    command: `${session.given.identity.host}> ${metaLine("dump-md", volume)}`,
  }));
  return 0;
});

const getGi = onMetadata((meta, { session }) => {
  session.say(generationText(meta.superblock));
  return 0;
});

const showGi = onMetadata((meta, { session }) => {
  session.context.out.write(showGiText(meta.superblock));
  return 0;
});

const wipeMd = onMetadata(async (meta, { session, tools }) => {
  if (!await confirm(session, [tools.WIPE_QUESTION], tools)) {
    return tools.CREATE_CANCELLED;
  }
  tools.wipeMetadata(meta);
  session.context.out.write(tools.WIPED_TEXT);
  return 0;
});

const outdate = onMetadata((meta, { tools }) =>
  tools.outdate(meta) ? 0 : SETUP_EXIT.lowerThanOutdated
);

const invalidate = onMetadata((meta, { tools }) => {
  tools.invalidate(meta);
  return 0;
});

/** Let the metadata follow a disk that has grown; an attach does it as well. */
const checkResize = onFoundDisk((disk, { session, volume, tools }) => {
  const path = volume.disk ?? "";
  if (disk.isBehind) {
    session.context.out.write(
      tools.applyText(tools.applyActivityLog(disk.meta)),
    );
    const moved = tools.moveMetadata(disk.meta, disk.source);
    if ("problem" in moved) {
      session.warn(`${moved.problem.text}\n  ${moved.problem.detail}`);
      return EXIT_NO_METADATA;
    }
    session.say(`The metadata of ${path} is at its new end now.`);
  }
  tools.rememberSize(session.sizesDir, path, disk.data.sizeBytes);
  return 0;
});

/** A disk that the daemon has needs no look: it looks at every resize. */
async function checkResizes(session: Session): Promise<number> {
  let exit = 0;
  const how = { command: "check-resize", action: checkResize };
  for (const target of session.targets()) {
    for (const volume of volumesOf(target)) {
      if (await isAttached(session, target, volume)) continue;
      exit = Math.max(exit, await onDisk(session, target, volume, how));
    }
  }
  return exit;
}

/** A disk that the daemon has: ask it; else look at the metadata. */
function liveOr(
  command: "get-gi" | "show-gi",
  offline: DiskAction,
): (session: Session) => Promise<number> {
  return async (session) => {
    let exit = 0;
    for (const target of session.targets()) {
      const running = await session.running(target.config.name);
      for (const volume of volumesOf(target)) {
        session.trace(setupLine(command, target.config, { volume }));
        const status = running?.volumes.find((each) =>
          each.volume === volume.volume
        );
        if (status?.generations === undefined || session.isDry) {
          const one = { config: target.config, volume: volume.volume };
          const how = { command, action: offline };
          exit = Math.max(exit, await onDisk(session, one, volume, how));
          continue;
        }
        const text = liveGenerations(status);
        if (command === "get-gi") session.say(text);
        else session.context.out.write(drawing(text));
      }
    }
    return exit;
  };
}

/** On a running volume the daemon's command, otherwise the metadata tool. */
function daemonOr(
  command: "outdate" | "invalidate",
  offline: DiskAction,
): (session: Session) => Promise<number> {
  return async (session) => {
    let exit = 0;
    for (const target of session.targets()) {
      if (session.isDry || await session.running(target.config.name)) {
        exit = Math.max(exit, await runFor(command, target, session));
        if (!session.isDry) continue;
      }
      for (const volume of volumesOf(target)) {
        const how = { command, action: offline };
        exit = Math.max(exit, await onDisk(session, target, volume, how));
      }
    }
    return exit;
  };
}

const tool = (command: string, action: DiskAction) => (session: Session) =>
  forEachDisk(session, { command, action });

/** `2026-11-22 13:11:44 +0000 [1795353104]`: UTC, and seconds since 1970. */
function dumpDate(now: Date): string {
  const [date, time] = now.toISOString().split(/[T.]/);
  return `${date} ${time} +0000 [${Math.floor(now.getTime() / 1000)}]`;
}

/** Actions by name. */
export const COMMANDS = {
  "create-md": tool("create-md", createMd),
  "dump-md": tool("dump-md", dumpMd),
  "wipe-md": tool("wipe-md", wipeMd),
  "apply-al": tool("apply-al", applyAl),
  "check-resize": checkResizes,
  "get-gi": liveOr("get-gi", getGi),
  "show-gi": liveOr("show-gi", showGi),
  "outdate": daemonOr("outdate", outdate),
  "invalidate": daemonOr("invalidate", invalidate),
} as const;
