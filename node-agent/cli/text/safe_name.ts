/** File names for the local disk, made from names that strangers chose. Pure. */

/**
 * A name that stays in its folder.
 *
 * @param name Original name of an upload; `null` when there was none.
 * @param id File ID; its last segment is used when the name is no good.
 * @returns One path segment: no separators, no control characters, no leading
 * dot, at most 200 bytes.
 */
export function safeName(name: string | null, id: string): string {
  const fallback = id.split("/").at(-1) ?? "file";
  const last = (name ?? "").split(/[\\/]/).at(-1) ?? "";
  const clean = last
    .replace(/[\p{Cc}\p{Cf}:*?"<>|]/gu, "_")
    .replace(/^\.+/, "")
    .trim();
  const isShort = new TextEncoder().encode(clean).length <= 200;
  return clean !== "" && isShort ? clean : fallback;
}
