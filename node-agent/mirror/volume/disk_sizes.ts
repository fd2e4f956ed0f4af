/**
 * How large each disk was when it was last used. Internal metadata lies at the
 * end of its disk: when that has grown meanwhile, this tells where to look.
 *
 * One small file per disk, named by the disk's path, with its size in bytes.
 * Without it nothing is lost: the disk is refused (119) until it has its old
 * size again.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { plainName, replaceFile } from "./durable_file.ts";

/** Longest name of a file; longer paths are named by their digest. */
const NAME_MAX = 200;

/** Size of a disk when it was last used, in bytes; undefined: nobody knows. */
export function lastSizeOf(folder: string, disk: string): number | undefined {
  let text: string;
  try {
    text = Deno.readTextFileSync(fileOf(folder, disk));
  } catch {
    return undefined;
  }
  if (!/^\d{1,16}\n$/.test(text)) return undefined;
  const bytes = Number(text);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}

/** Remember it; durable on return. That it cannot be is no reason to stop. */
export function rememberSize(
  folder: string,
  disk: string,
  sizeBytes: number,
): void {
  if (lastSizeOf(folder, disk) === sizeBytes) return;
  const bytes = new TextEncoder().encode(`${sizeBytes}\n`);
  try {
    replaceFile(fileOf(folder, disk), bytes);
  } catch {
    // Then a disk that grows while it is down is not found by its old size.
  }
}

function fileOf(folder: string, disk: string): string {
  const coded = plainName(disk);
  const name = coded.length <= NAME_MAX
    ? coded
    : createHash("sha256").update(disk).digest("hex");
  return `${folder}/${name}.size`;
}
