/**
 * `Content-Disposition` for downloads (RFC 6266, RFC 8187).
 *
 * @module
 */

/** Long enough for every file system; the rest of a name is cut. */
const NAME_LENGTH_MAX = 255;
const KEEP = /[A-Za-z0-9!#$&+.^_`|~-]/;

/**
 * Ask the browser to save the content under a name.
 *
 * @param name Any text; what no file name can hold becomes `_`.
 * @returns The header: plain ASCII, also for names in other scripts.
 *
 * @example
 * ```ts ignore
 * attachment("é.txt"); // attachment; filename="_.txt"; filename*=UTF-8''%C3%A9.txt
 * ```
 */
export function attachment(name: string): string {
  const clean = saneName(name);
  if (clean === "") return "attachment";
  const ascii = clean.replace(/[^\x20-\x7e]|["\\%]/gu, "_");
  if (ascii === clean) return `attachment; filename="${clean}"`;
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encode(clean)}`;
}

function saneName(name: string): string {
  const text = name.toWellFormed().replaceAll(/[\p{Cc}\p{Bidi_C}/\\]/gu, "_");
  const short = Array.from(text).slice(0, NAME_LENGTH_MAX).join("");
  // A leading dot would hide the file, `..` would mean a folder.
  return short.replace(/^\.+/, (dots) => "_".repeat(dots.length)).trim();
}

function encode(text: string): string {
  let result = "";
  for (const byte of new TextEncoder().encode(text)) {
    const char = String.fromCharCode(byte);
    if (byte < 0x80 && KEEP.test(char)) result += char;
    else result += `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return result;
}
