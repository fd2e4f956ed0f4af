/**
 * `create-md`: put fresh metadata on a device, unless something is in the way.
 *
 * ```text
 * planCreate ──▶ questions, refusal?      looks only
 * createMetadata ──▶ MetaDevice           erase │ log, bitmap │ superblock
 * ```
 *
 * @module
 */

import {
  type AlStriping,
  layOut,
  type MetaGeometry,
  superblockOffsetOf,
} from "@kedge/schema/disk/geometry";
import { alExtentsCapacity } from "@kedge/schema/disk/activity-log";
import {
  findExistingData,
  SIGNATURE_BYTES,
} from "@kedge/schema/disk/signatures";
import {
  decodeSuperblock,
  type MetaSuperblock,
  UUID_JUST_CREATED,
} from "@kedge/schema/disk/superblock";
import {
  AL_EXTENTS_DEFAULT,
  AL_EXTENTS_MIN,
  BIT_BYTES,
  META_BLOCK_BYTES,
} from "@kedge/schema/disk/units";
import type { RawDevice } from "../raw_device.ts";
import { initialiseRing } from "./activity_log_file.ts";
import {
  createdTexts,
  type CreateQuestion,
  type CreateRefusal,
  dataInPlace,
  metadataInPlace,
  tooSmall,
} from "./create_texts.ts";
import { geometryInput, MetaDevice, type MetaSource } from "./meta_device.ts";

/** What can be chosen for new metadata. */
export interface CreateOptions {
  /** Extents of the activity log. Default: 1237. */
  readonly alNrExtents?: number;
  /** `--al-stripes` and `--al-stripe-size-kB`. Default: 1 × 32 KiB. */
  readonly striping?: AlStriping;
  /** `--peer-max-bio-size`, in bytes. Default: 0, not known. */
  readonly laPeerMaxBioBytes?: number;
}

/** What has to be asked and told before metadata is created. */
export interface CreatePlan {
  /** To be answered with `yes`, in this order, before anything else. */
  readonly questions: readonly CreateQuestion[];
  /** Told after the questions: nothing may be created, not even by force. */
  readonly refusal: CreateRefusal | undefined;
  /** Where everything will be; missing when the device is too small. */
  readonly geometry: MetaGeometry | undefined;
}

/** What came of {@link createMetadata}. */
export type CreateResult =
  /** It is there, durably. The texts are for the user. */
  | {
    readonly kind: "created";
    readonly meta: MetaDevice;
    readonly stdout: string;
    readonly stderr: string;
  }
  /** Ask this; then again with `isConfirmed`. */
  | { readonly kind: "confirm"; readonly questions: readonly CreateQuestion[] }
  /** Nothing was written, and nothing will be. */
  | { readonly kind: "refused"; readonly refusal: CreateRefusal };

/**
 * Look what is in the way of new metadata. Writes nothing.
 *
 * @throws {DeviceError} When the device cannot be read.
 */
export function planCreate(
  source: MetaSource,
  options: CreateOptions = {},
): CreatePlan {
  const { device } = source;
  const geometry = layOut({
    ...geometryInput(source),
    ...(options.striping === undefined ? {} : { striping: options.striping }),
  });
  if ("problem" in geometry) {
    const refusal = geometry.problem.kind === "bad-striping"
      ? {
        exitCode: 10 as const,
        stdout: "",
        stderr: `${geometry.problem.detail}\n`,
      }
      : tooSmall(device.path, device.sizeBytes);
    return { questions: [], refusal, geometry: undefined };
  }
  const questions: CreateQuestion[] = [];
  const version = versionInPlace(source);
  if (version !== undefined) {
    questions.push(metadataInPlace(geometry, { path: device.path, version }));
  }
  const found = findExistingData(headOf(device));
  if (found === undefined) return { questions, refusal: undefined, geometry };
  const answer = dataInPlace(found, geometry);
  if ("exitCode" in answer) return { questions, refusal: answer, geometry };
  return {
    questions: [...questions, answer],
    refusal: undefined,
    geometry,
  };
}

/**
 * Write fresh metadata, when nothing is in the way or `isConfirmed`.
 *
 * The old superblock is erased first: a crash leaves no metadata at all rather
 * than an old one beside an empty bitmap.
 *
 * @throws {DeviceError} Nothing is known about the metadata then.
 */
export function createMetadata(
  source: MetaSource,
  options: CreateOptions & { readonly isConfirmed?: boolean } = {},
): CreateResult {
  const { questions, refusal, geometry } = planCreate(source, options);
  if (questions.length > 0 && options.isConfirmed !== true) {
    return { kind: "confirm", questions };
  }
  if (refusal !== undefined) return { kind: "refused", refusal };
  if (geometry === undefined) throw new Error("A plan without a layout");
  const superblock = freshSuperblock(geometry, options);
  const meta = new MetaDevice(source, superblock, geometry);
  zero(meta.device, geometry.superblockOffset, META_BLOCK_BYTES);
  meta.device.flush();
  initialiseRing(meta.device, geometry);
  zero(meta.device, geometry.bmOffset, geometry.bmRoomBytes);
  meta.device.flush();
  meta.writeSuperblock(superblock);
  return { kind: "created", meta, ...createdTexts(geometry) };
}

/** The superblock of metadata that was just created. */
export function freshSuperblock(
  geometry: MetaGeometry,
  options: CreateOptions = {},
): MetaSuperblock {
  const { stripes, stripeSize4k } = geometry.striping;
  const capacity = alExtentsCapacity(stripes * stripeSize4k);
  const wanted = options.alNrExtents ?? AL_EXTENTS_DEFAULT;
  return {
    uuids: { current: UUID_JUST_CREATED, bitmap: 0n, history: [0n, 0n] },
    flags: new Set(["AlClean"]),
    unknownFlags: 0,
    isClean: true,
    laSizeSectors: 0,
    deviceUuid: 0n,
    registerEpoch: 0,
    isSealed: false,
    mdSizeSectors: geometry.mdSizeSectors,
    alOffsetSectors: geometry.alOffsetSectors,
    bmOffsetSectors: geometry.bmOffsetSectors,
    alNrExtents: Math.max(AL_EXTENTS_MIN, Math.min(wanted, capacity)),
    bmBytesPerBit: BIT_BYTES,
    laPeerMaxBioBytes: options.laPeerMaxBioBytes ?? 0,
    alStripes: stripes,
    alStripeSize4k: stripeSize4k,
  };
}

/** Which version's superblock is where ours would be. */
function versionInPlace(source: MetaSource): string | undefined {
  const block = new Uint8Array(META_BLOCK_BYTES);
  const { device, placement } = source;
  device.readAt(block, superblockOffsetOf(placement, device.sizeBytes));
  const superblock = decodeSuperblock(block);
  if (!("problem" in superblock)) return "v08";
  switch (superblock.problem.kind) {
    case "no-signature":
      return undefined;
    case "other-version":
      return superblock.problem.version;
    case "bad-field":
      return "v08";
  }
}

function headOf(device: RawDevice): Uint8Array {
  const head = new Uint8Array(Math.min(SIGNATURE_BYTES, device.sizeBytes));
  device.readAt(head, 0);
  return head;
}

function zero(device: RawDevice, offset: number, length: number): void {
  const zeroes = new Uint8Array(Math.min(length, 1024 * 1024));
  for (let done = 0; done < length; done += zeroes.length) {
    const size = Math.min(zeroes.length, length - done);
    device.writeAt(zeroes.subarray(0, size), offset + done);
  }
}
