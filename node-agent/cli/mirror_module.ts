/** The heavy doors of the mirror, loaded only when they are used. */

/** Load the daemon. */
export async function loadRunMirrorDaemon(): Promise<
  typeof import("../mirror_daemon.ts").runMirrorDaemon
> {
  return (await import("../mirror_daemon.ts")).runMirrorDaemon;
}

/** Load what reads and writes the metadata of disks that nobody uses. */
export async function loadMetaTools(): Promise<MetaTools> {
  const [disk, create, recover, texts, meta, inspect, move, sizes] =
    await Promise.all([
      import("../mirror/meta/open_disk.ts"),
      import("../mirror/meta/create_metadata.ts"),
      import("../mirror/meta/recover.ts"),
      import("../mirror/meta/create_texts.ts"),
      import("../mirror/meta/meta_device.ts"),
      import("../mirror/meta/inspect.ts"),
      import("../mirror/meta/move_metadata.ts"),
      import("../mirror/volume/disk_sizes.ts"),
    ]);
  return {
    ...disk,
    ...create,
    ...recover,
    ...texts,
    ...meta,
    ...inspect,
    ...move,
    ...sizes,
  };
}

/** What {@linkcode loadMetaTools} gives. */
export type MetaTools =
  & typeof import("../mirror/meta/open_disk.ts")
  & typeof import("../mirror/meta/create_metadata.ts")
  & typeof import("../mirror/meta/recover.ts")
  & typeof import("../mirror/meta/create_texts.ts")
  & typeof import("../mirror/meta/meta_device.ts")
  & typeof import("../mirror/meta/inspect.ts")
  & typeof import("../mirror/meta/move_metadata.ts")
  & typeof import("../mirror/volume/disk_sizes.ts");

/** Load what runs a configured handler. */
export async function loadHandlers(): Promise<
  typeof import("../mirror/host/helpers.ts")
> {
  return await import("../mirror/host/helpers.ts");
}

/** Load what knows which digests there are. */
export async function loadIsKnownDigest(): Promise<
  typeof import("../mirror/link/digest.ts").isKnownDigest
> {
  return (await import("../mirror/link/digest.ts")).isKnownDigest;
}

/** Load what reads undo files. */
export async function loadUndoTools(): Promise<
  typeof import("../mirror/volume/undo_reader.ts")
> {
  return await import("../mirror/volume/undo_reader.ts");
}
