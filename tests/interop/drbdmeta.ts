/**
 * DRBD's `drbdmeta` on loop devices, beside our own code on the same.
 *
 * No kernel module is needed.
 *
 * @module
 */

import { equal } from "node:assert/strict";
import type { MetaPlacement } from "@kedge/schema/disk/geometry";
import { createMetadata } from "../../node-agent/mirror/meta/create_metadata.ts";
import { openFileDevice } from "../../node-agent/mirror/meta/file_device.ts";
import {
  type MetaDevice,
  type MetaSource,
  openMeta,
} from "../../node-agent/mirror/meta/meta_device.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { sound } from "../helpers/sound.ts";

/** One mebibyte, in bytes. */
export const MIB = 1024 * 1024;
/** Metadata at the end of the data's own disk. */
export const INTERNAL: MetaPlacement = { kind: "internal" };
/** Metadata on a disk of its own. */
export const FLEXIBLE: MetaPlacement = { kind: "flexible" };
/** The second of several metadata on one disk. */
export const INDEXED: MetaPlacement = { kind: "indexed", index: 1 };

/** What one program said and left. */
export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Use the metadata of a disk once. */
export function withMeta(
  device: string,
  use: (meta: MetaDevice) => void,
  options: {
    readonly create?: boolean;
    readonly placement?: MetaPlacement;
    /** Of the data whose metadata is external. */
    readonly dataBytes?: number;
  } = {},
): void {
  const raw = openFileDevice(device);
  const { placement = INTERNAL, dataBytes } = options;
  try {
    const source = sourceOf(raw, placement, dataBytes);
    if (options.create === true) {
      const { kind } = createMetadata(source, { isConfirmed: true });
      equal(kind, "created");
    }
    use(sound(openMeta(source)));
  } finally {
    raw.close();
  }
}

/** Where metadata is; external metadata is for 32 MiB, or as said. */
export function sourceOf(
  device: MetaSource["device"],
  placement: MetaPlacement,
  dataBytes: number = 32 * MIB,
): MetaSource {
  const dataDeviceBytes = placement.kind === "internal"
    ? device.sizeBytes
    : dataBytes;
  return { device, dataDeviceBytes, placement };
}

/** Run `drbdmeta` on a device. */
export async function drbdmeta(
  device: string,
  options: { readonly placement: MetaPlacement; readonly isForced?: boolean },
  ...command: string[]
): Promise<Said> {
  const { placement } = options;
  const at = {
    internal: "internal",
    flexible: "flex-external",
    indexed: placement.kind === "indexed" ? String(placement.index) : "",
  }[placement.kind];
  const force = options.isForced === true ? ["--force"] : [];
  return await run("drbdmeta", ...force, "7", "v08", device, at, ...command);
}

/** Run a program to its end. */
export async function run(command: string, ...args: string[]): Promise<Said> {
  const output = await new Deno.Command(command, { args, stdin: "null" })
    .output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return {
    code: output.code,
    stdout: text(output.stdout),
    stderr: text(output.stderr),
  };
}

/** An image file with a loop device on it. */
export async function disk(scope: Scope, bytes: number) {
  const image = `${await scope.tempDir()}/image`;
  (await Deno.create(image)).close();
  await Deno.truncate(image, bytes);
  const { stdout, stderr } = await run("losetup", "-f", "--show", image);
  const device = stdout.trim();
  if (device === "") throw new Error(`losetup: ${stderr}`);
  scope.defer(() => run("losetup", "-d", device));
  return { image, device };
}

/** Copy into an image that a loop device lies on, holes as holes. */
export async function copy(from: string, to: string): Promise<void> {
  await run("sync", from);
  const { code, stderr } = await run("cp", "--sparse=always", from, to);
  if (code !== 0) throw new Error(stderr);
}

/** Both images must be equal, byte for byte. */
export async function sameImage(ours: string, theirs: string): Promise<void> {
  const { code, stdout } = await run("cmp", ours, theirs);
  equal(code, 0, stdout);
}

/** Everything that these tests need; says loudly what is missing. */
export async function canRun(): Promise<boolean> {
  try {
    await run("drbdmeta");
    await using scope = new Scope();
    await disk(scope, MIB);
    return true;
  } catch (error) {
    say(`SKIPPED: drbdmeta interoperation: ${error}`);
    return false;
  }
}
