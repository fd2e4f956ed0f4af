/** `create-md`: metadata on a disk, unless something is in the way. */

import type { VolumeConfig } from "@kedge/schema/drbd-conf";
import { confirm } from "./confirm.ts";
import { type DiskAction, tellNotOpen } from "./disk_tool.ts";
import type { MetaTools } from "../mirror_module.ts";
import { diskPaths } from "./offline.ts";
import type { Session } from "./session.ts";
import { countOption, sizeOption } from "./values.ts";

/** Stripe of the activity log without `--al-stripe-size-kB`. */
const STRIPE_KIB = 32;

/** What `create-md` was told beside the configuration. */
function createOptions({ line }: Session, volume: VolumeConfig) {
  const { setup } = line;
  const stripes = countOption(setup.get("al-stripes"), "al-stripes");
  const stripeKib = countOption(
    setup.get("al-stripe-size-kB"),
    "al-stripe-size-kB",
  );
  const laPeerMaxBioBytes = sizeOption(
    setup.get("peer-max-bio-size"),
    "peer-max-bio-size",
    "b",
  );
  return {
    alNrExtents: volume.options.alExtents,
    ...(stripes === undefined && stripeKib === undefined ? {} : {
      striping: {
        stripes: stripes ?? 1,
        stripeSize4k: Math.ceil((stripeKib ?? STRIPE_KIB) / 4),
      },
    }),
    ...(laPeerMaxBioBytes === undefined ? {} : { laPeerMaxBioBytes }),
  };
}

/** Metadata that is still where the disk ended before it grew is not nothing. */
function behindRefusal(
  paths: Parameters<MetaTools["openDisk"]>[0],
  tools: MetaTools,
): string | undefined {
  const found = tools.openDisk(paths);
  if ("problem" in found) return undefined;
  found.close();
  if (!found.isBehind) return undefined;
  return `"${paths.dataPath}" has grown since it was last used, and has ` +
    'metadata where it ended then: "drbdadm check-resize" moves it to the ' +
    "end of today. To give it up: create-md --force";
}

/** Ask what must be asked, and write it. */
export const createMd: DiskAction = async (session, volume, tools) => {
  const paths = diskPaths(volume, tools, session.sizesDir);
  if (paths === undefined) return 0;
  const { lastSizeBytes } = paths;
  if (lastSizeBytes !== undefined && !session.asks("force")) {
    const refusal = behindRefusal(paths, tools);
    if (refusal !== undefined) {
      session.warn(refusal);
      return tools.CREATE_CANCELLED;
    }
  }
  const devices = tools.openDevices(paths);
  if ("problem" in devices) {
    return tellNotOpen(session, devices.problem);
  }
  try {
    const options = createOptions(session, volume);
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
    if (result.kind === "created" && paths.placement.kind === "internal") {
      // What an older life of the disk left elsewhere is not looked for.
      const { sizeBytes } = devices.data;
      tools.rememberSize(session.sizesDir, paths.dataPath, sizeBytes);
    }
    if (result.kind === "refused") {
      out.write(result.refusal.stdout);
      err.write(result.refusal.stderr);
      return result.refusal.exitCode;
    }
    // In this order on a terminal: log, bitmap, superblock.
    const [first = "", ...rest] = result.stdout.split(/(?<=\n)/);
    out.write(first);
    err.write(result.stderr);
    out.write(rest.join(""));
    return 0;
  } finally {
    devices.close();
  }
};
