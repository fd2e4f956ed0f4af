/**
 * The disk under a volume: data, activity log, bitmap and superblock on real
 * devices, in the terms of the core.
 *
 * Calls return false when the device failed: the core detaches, nothing is
 * tried again. Flushes of the data run beside the event loop, so that a slow
 * disk does not stop other requests, unless they take less time than that.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import type { MetaPlacement } from "@kedge/schema/disk/geometry";
import type { SlotChange } from "../core/activity_log_core.ts";
import type { AttachedDisk, PersistentState } from "../core/volume_types.ts";
import type { ActivityLogFile } from "../meta/activity_log_file.ts";
import type {
  MetaDevice,
  MetaRefusal,
  MetaSource,
} from "../meta/meta_device.ts";
import { type OpenDisk, openDisk } from "../meta/open_disk.ts";
import { saveBitmapPages } from "../meta/bitmap_file.ts";
import { moveMetadata, placeOf } from "../meta/move_metadata.ts";
import { applyActivityLog } from "../meta/recover.ts";
import type { RawDevice } from "../raw_device.ts";
import { DiskWatch } from "./disk_watch.ts";
import { lastSizeOf, rememberSize } from "./disk_sizes.ts";
import { FlushPace } from "./flush_pace_core.ts";
import { HolePuncher } from "./hole_puncher.ts";
import { partsOf, stateOf } from "./stored_state.ts";

const SECTOR_BYTES = 512;
const ZEROES = new Uint8Array(1024 * 1024);

/** Where a volume's data and metadata are. */
export interface BackingPaths {
  readonly disk: string;
  /** The metadata's device; the same as `disk` when it is internal. */
  readonly metaDisk: string;
  readonly placement: MetaPlacement;
  /** Folder where sizes of disks are remembered; missing: nowhere. */
  readonly sizesDir?: string | undefined;
}

/** Why a disk cannot be attached: DRBD's code, and words. */
export class AttachError extends Error {
  override readonly name = "AttachError";

  /** @param code DRBD's number, 100 and above. */
  constructor(readonly code: number, message: string) {
    super(message);
  }
}

/** See the module comment. */
export class BackingDisk {
  readonly #paths: BackingPaths;
  readonly #devices: OpenDisk;
  readonly #data: RawDevice;
  #meta: MetaDevice;
  readonly #flusher: Deno.FsFile;
  readonly #pace: FlushPace;
  #unflushedBytes = 0;
  #puncher: HolePuncher | undefined;
  #log: ActivityLogFile | undefined;
  #isClosed = false;
  /** A request to it does not end: nothing more is asked of it. */
  #isAbandoned = false;
  #flushing = 0;
  readonly #watch: DiskWatch;

  private constructor(
    paths: BackingPaths,
    devices: OpenDisk,
    meta: MetaDevice,
    parts: { readonly watch: DiskWatch; readonly pace: FlushPace },
  ) {
    this.#watch = parts.watch;
    this.#pace = parts.pace;
    this.#paths = paths;
    this.#devices = devices;
    this.#data = devices.data;
    this.#meta = meta;
    this.#flusher = Deno.openSync(paths.disk, { read: true, write: true });
    this.#puncher = HolePuncher.open(paths.disk);
    this.#remember();
  }

  /**
   * Open a disk that has metadata, and recover it after a crash.
   *
   * @throws {AttachError} With DRBD's code.
   */
  static open(
    paths: BackingPaths,
    options: {
      /** Give the disk an identity if it has none: registers name it. */
      readonly mustHaveIdentity: boolean;
      /** What it takes too long for counts as failed. */
      readonly watch?: DiskWatch;
      /** What is known of its flushes. */
      readonly pace?: FlushPace;
    } = { mustHaveIdentity: false },
  ): BackingDisk {
    const { sizesDir } = paths;
    const devices = openDisk({
      dataPath: paths.disk,
      metaPath: paths.metaDisk,
      placement: paths.placement,
      lastSizeBytes: sizesDir === undefined
        ? undefined
        : lastSizeOf(sizesDir, paths.disk),
    });
    if ("problem" in devices) throw attachError(devices);
    try {
      const { data } = devices;
      // What a killed process wrote may be in the page cache only; a later
      // power loss must not take it once nothing is marked for it any more.
      data.flush();
      applyActivityLog(devices.meta);
      const meta = moveMetadata(devices.meta, devices.source);
      if ("problem" in meta) throw attachError(meta);
      const problem = meta.attachProblem();
      if (problem !== undefined) throw attachError({ problem });
      if (options.mustHaveIdentity && meta.superblock.deviceUuid === 0n) {
        meta.writeSuperblock({ deviceUuid: randomIdentity() });
      }
      const { watch = new DiskWatch(undefined), pace = new FlushPace() } =
        options;
      return new BackingDisk(paths, devices, meta, { watch, pace });
    } catch (error) {
      devices.close();
      if (error instanceof AttachError) throw error;
      throw new AttachError(118, messageOf(error));
    }
  }

  /** The disk's identity in hex; undefined: it has none. */
  get identity(): string | undefined {
    const { deviceUuid } = this.#meta.superblock;
    if (deviceUuid === 0n) return undefined;
    return deviceUuid.toString(16).toUpperCase().padStart(16, "0");
  }

  /** What the core is told of it. */
  describe(): AttachedDisk {
    const { superblock, geometry } = this.#meta;
    const { file, fullBecause } = this.#meta.loadBitmap();
    return {
      persistent: stateOf(superblock),
      sizeBytes: geometry.usableSectors * SECTOR_BYTES,
      bitmap: file.bitmap.bytes.slice(),
      bitmapLost: fullBecause !== undefined,
    };
  }

  /** Write data. */
  write(offset: number, data: Uint8Array): boolean {
    this.#unflushedBytes += data.length;
    return this.#attempt(() => this.#data.writeAt(data, offset));
  }

  /** Whether zeroes can be holes; false for ever once the disk refused one. */
  get canPunch(): boolean {
    return this.#puncher !== undefined;
  }

  /** Let a range read as zeroes: a hole where that is wanted and possible. */
  zero(offset: number, lengthBytes: number, mayPunch = false): boolean {
    this.#unflushedBytes += lengthBytes;
    let isPunched = false;
    const isInTime = !mayPunch || this.#attempt(() => {
      isPunched = this.#puncher?.punch(offset, lengthBytes) ?? false;
    });
    if (isPunched || !isInTime) return isInTime;
    if (mayPunch) this.#stopPunching();
    return this.#attempt(() => {
      for (let at = 0; at < lengthBytes; at += ZEROES.length) {
        const count = Math.min(ZEROES.length, lengthBytes - at);
        this.#data.writeAt(ZEROES.subarray(0, count), offset + at);
      }
    });
  }

  /** Read data. */
  read(offset: number, into: Uint8Array): boolean {
    return this.#attempt(() => this.#data.readAt(into, offset));
  }

  /**
   * Make all data stable: beside the event loop, unless that takes longer than
   * the flush. With `disk-timeout` always beside it: one that hangs in the loop
   * could not be given up. Not before the caller has returned, so that frames
   * leave first.
   */
  async flush(): Promise<boolean> {
    this.#flushing++;
    try {
      await undefined;
      const bytes = this.#unflushedBytes;
      this.#unflushedBytes = 0;
      const wasInline = !this.#watch.isOn && this.#pace.isInline(bytes);
      const beganMs = performance.now();
      if (wasInline) this.#flusher.syncDataSync();
      else await this.#flusher.syncData();
      const ms = performance.now() - beganMs;
      this.#pace.took({ ms, bytes, wasInline });
      return true;
    } catch {
      return false;
    } finally {
      this.#flushing--;
      if (this.#isAbandoned) this.close(false);
    }
  }

  /**
   * A flush does not end: ask nothing more of this disk. It is closed when the
   * flush has ended, since that waits for it, too.
   */
  abandon(): void {
    this.#isAbandoned = true;
  }

  /** Write an activity-log transaction; stable on return. */
  commitLog(changes: readonly SlotChange[]): boolean {
    const log = this.#log;
    if (log === undefined) return false;
    return this.#attempt(() => {
      for (const { slot, extent } of changes) log.stage(slot, extent);
      log.commit();
    });
  }

  /** Begin an empty activity log; stable on return. */
  resetLog(alExtents: number): boolean {
    return this.#attempt(() => {
      if (this.#meta.needsActivityLog) this.#meta.detach();
      this.#log = this.#meta.attach(alExtents);
    });
  }

  /** Save names and flags; stable on return. */
  saveState(state: PersistentState): boolean {
    return this.#attempt(() => {
      this.#meta.writeSuperblock(partsOf(state, this.#meta.superblock.flags));
    });
  }

  /** Room for data on the devices as they are now; undefined: who knows. */
  usableBytes(): number | undefined {
    let bytes: number | undefined;
    this.#attempt(() => {
      const place = placeOf(this.#meta, this.#lookAgain());
      if ("problem" in place) this.lastError = place.problem.detail;
      else bytes = place.usableSectors * SECTOR_BYTES;
    });
    return bytes;
  }

  /**
   * Let the metadata follow the end of the disk; stable on return. On a disk
   * that has shrunk nothing is touched.
   */
  useWholeDisk(): boolean {
    return this.#attempt(() => {
      const moved = moveMetadata(this.#meta, this.#lookAgain());
      if ("problem" in moved) {
        this.lastError = moved.problem.detail;
        return;
      }
      if (moved === this.#meta) return;
      this.#meta = moved;
      this.#log?.movedTo(moved.device, moved.geometry);
      this.#remember();
    });
  }

  #lookAgain(): MetaSource {
    const { data, metaDisk, source } = this.#devices;
    data.refresh();
    if (metaDisk !== data) metaDisk.refresh();
    return { ...source, dataDeviceBytes: data.sizeBytes };
  }

  /** For the next attach: the disk may have grown until then. */
  #remember(): void {
    const { disk, placement, sizesDir } = this.#paths;
    if (sizesDir === undefined || placement.kind !== "internal") return;
    rememberSize(sizesDir, disk, this.#data.sizeBytes);
  }

  /** Save pages of the bitmap; stable on return. */
  saveBitmap(bytes: Uint8Array, pages: readonly number[]): boolean {
    const { device, geometry } = this.#meta;
    return this.#attempt(() =>
      saveBitmapPages(device, geometry, { bytes, pages })
    );
  }

  /** Let go of it. In order: a clean disk needs no recovery. */
  close(isClean: boolean): void {
    if (this.#isClosed || this.#isAbandoned && this.#flushing > 0) return;
    this.#isClosed = true;
    if (isClean) {
      this.#attempt(() => {
        this.#data.flush();
        this.#meta.detach();
      });
    }
    this.#flusher.close();
    this.#stopPunching();
    this.#devices.close();
  }

  #stopPunching(): void {
    this.#puncher?.close();
    this.#puncher = undefined;
  }

  #attempt(work: () => void): boolean {
    if (this.#isAbandoned) return false;
    try {
      this.#watch.during(work);
      return true;
    } catch (error) {
      this.lastError = messageOf(error);
      return false;
    }
  }

  /** What the device said last, for the log. */
  lastError = "";
}

function attachError({ problem }: MetaRefusal): AttachError {
  return new AttachError(problem.code, problem.detail);
}

function randomIdentity(): bigint {
  return randomBytes(8).readBigUInt64BE() | 1n;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
