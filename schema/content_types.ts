/**
 * Content types by extension, and which of them a browser may show. Pure.
 *
 * @module
 */

/** What a file is when nothing says it. */
export const UNKNOWN_TYPE = "application/octet-stream";

const UTF8 = "; charset=utf-8";

/** Content types by extension. Source: the IANA registry, and what is served. */
export const CONTENT_TYPES: Readonly<Record<string, string>> = {
  "3gp": "video/3gpp",
  "7z": "application/x-7z-compressed",
  aac: "audio/aac",
  aif: "audio/aiff",
  aiff: "audio/aiff",
  apk: "application/vnd.android.package-archive",
  apng: "image/apng",
  avi: "video/x-msvideo",
  avif: "image/avif",
  bin: UNKNOWN_TYPE,
  bmp: "image/bmp",
  br: "application/x-brotli",
  bz2: "application/x-bzip2",
  cbor: "application/cbor",
  css: `text/css${UTF8}`,
  csv: `text/csv${UTF8}`,
  dat: UNKNOWN_TYPE,
  deb: "application/vnd.debian.binary-package",
  dmg: "application/x-apple-diskimage",
  doc: "application/msword",
  docx:
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  epub: "application/epub+zip",
  exe: "application/vnd.microsoft.portable-executable",
  flac: "audio/flac",
  flv: "video/x-flv",
  geojson: "application/geo+json",
  gif: "image/gif",
  glb: "model/gltf-binary",
  gltf: "model/gltf+json",
  gz: "application/gzip",
  heic: "image/heic",
  heif: "image/heif",
  htm: `text/html${UTF8}`,
  html: `text/html${UTF8}`,
  icc: "application/vnd.iccprofile",
  ico: "image/vnd.microsoft.icon",
  ics: `text/calendar${UTF8}`,
  iso: "application/vnd.efi.iso",
  jar: "application/java-archive",
  jfif: "image/jpeg",
  jp2: "image/jp2",
  jpe: "image/jpeg",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  js: `text/javascript${UTF8}`,
  json: "application/json",
  jsonl: "application/jsonl",
  jxl: "image/jxl",
  key: "application/vnd.apple.keynote",
  log: `text/plain${UTF8}`,
  m3u8: "application/vnd.apple.mpegurl",
  m4a: "audio/mp4",
  m4s: "video/iso.segment",
  m4v: "video/mp4",
  md: `text/markdown${UTF8}`,
  mid: "audio/midi",
  midi: "audio/midi",
  mjs: `text/javascript${UTF8}`,
  mkv: "video/matroska",
  mov: "video/quicktime",
  mp3: "audio/mpeg",
  mp4: "video/mp4",
  mpd: "application/dash+xml",
  mpeg: "video/mpeg",
  mpg: "video/mpeg",
  msi: "application/x-msi",
  numbers: "application/vnd.apple.numbers",
  odp: "application/vnd.oasis.opendocument.presentation",
  ods: "application/vnd.oasis.opendocument.spreadsheet",
  odt: "application/vnd.oasis.opendocument.text",
  oga: "audio/ogg",
  ogg: "audio/ogg",
  ogv: "video/ogg",
  opus: "audio/ogg",
  otf: "font/otf",
  pages: "application/vnd.apple.pages",
  pdf: "application/pdf",
  png: "image/png",
  ppt: "application/vnd.ms-powerpoint",
  pptx:
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
  psd: "image/vnd.adobe.photoshop",
  rar: "application/vnd.rar",
  rpm: "application/x-rpm",
  rtf: "application/rtf",
  sh: "application/x-sh",
  sql: "application/sql",
  sqlite: "application/vnd.sqlite3",
  srt: `text/plain${UTF8}`,
  svg: "image/svg+xml",
  svgz: "image/svg+xml",
  swf: "application/vnd.adobe.flash.movie",
  tar: "application/x-tar",
  "tar.gz": "application/gzip",
  "tar.xz": "application/x-xz",
  tgz: "application/gzip",
  tif: "image/tiff",
  tiff: "image/tiff",
  toml: "application/toml",
  ts: "video/mp2t",
  tsv: `text/tab-separated-values${UTF8}`,
  ttf: "font/ttf",
  txt: `text/plain${UTF8}`,
  usdz: "model/vnd.usdz+zip",
  vcf: `text/vcard${UTF8}`,
  vtt: `text/vtt${UTF8}`,
  wasm: "application/wasm",
  wav: "audio/wav",
  weba: "audio/webm",
  webm: "video/webm",
  webp: "image/webp",
  wmv: "video/x-ms-wmv",
  woff: "font/woff",
  woff2: "font/woff2",
  xhtml: "application/xhtml+xml",
  xls: "application/vnd.ms-excel",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  xml: "application/xml",
  xz: "application/x-xz",
  yaml: "application/yaml",
  yml: "application/yaml",
  zip: "application/zip",
  zst: "application/zstd",
};

/**
 * What a browser may show in place. Everything else is saved: HTML, SVG, XML,
 * scripts and PDF can run code in the origin that serves them, and a list of
 * dangerous types is never complete.
 */
export const SHOWN_TYPES: RegExp = new RegExp(
  "^(?:image/(?!svg)[a-z0-9.-]+|audio/[a-z0-9.-]+|video/[a-z0-9.-]+|" +
    "font/[a-z0-9.-]+|text/(?:plain|csv|css|markdown|vtt)|" +
    "application/json)(?:;|$)",
);

/** Whether a browser may show this type in place. */
export function isShown(type: string): boolean {
  return SHOWN_TYPES.test(type);
}
