/**
 * Headers of every download, whoever sends it: an agent, or nginx from its disk.
 *
 * @module
 */

/** `Cache-Control` of a file that never changes and that everybody may read. */
export const IMMUTABLE = "public, max-age=31536000, immutable";

/** A document of ours may show itself and nothing else, in an origin of its own. */
export const CONTENT_POLICY: string =
  "sandbox; default-src 'none'; img-src 'self'; " +
  "media-src 'self'; style-src 'unsafe-inline'";

/** What scripts of other origins may see of an answer. */
export const EXPOSED_HEADERS =
  "ETag, Content-Range, Accept-Ranges, Content-Disposition";
