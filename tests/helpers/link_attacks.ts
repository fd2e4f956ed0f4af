/**
 * Requests that try to get a file without the link that it needs.
 *
 * @module
 */

/** What an attacker has. */
export interface AttackerView {
  /** The file that needs a link. */
  readonly file: string;
  /** A file that needs none. */
  readonly free: string;
  /** Tag of the file. */
  readonly etag: string;
  readonly nowS: number;
  /** Query of a link that counts, for exactly that path. */
  readonly query: string;
  /** Of another file. */
  readonly other: string;
  /** Of the file, too old. */
  readonly old: string;
  /** Of the file, for HEAD alone. */
  readonly head: string;
  /** FastDFS's token of the file. */
  readonly md5: string;
  /** FastDFS's token of another file. */
  readonly md5Other: string;
}

/** A request line, and headers. */
export interface RawRequest {
  readonly line: string;
  readonly headers: Record<string, string>;
}

/** All of them; every one must be refused. */
export function linkAttacks(view: AttackerView): RawRequest[] {
  const { file, free, etag, nowS, query, other, old, head, md5, md5Other } =
    view;
  const get = (target: string, headers: Record<string, string> = {}) => ({
    line: `GET ${target} HTTP/1.1`,
    headers,
  });
  const otherQueries = [
    ...["", other, old, head, query.replace("sig=", "sig=A")],
    `${query}&download=x.exe`,
    `${query}&expires=${nowS + 9999}`,
    `expires=${nowS + 9999}&${query}`,
    query.replace(/expires=\d+/, `expires=${nowS + 9999}`),
    query.replace("key=k1", "key=fastdfs"),
    `${query}&method=HEAD`,
    md5.replace(/ts=\d+/, `ts=${nowS + 1}`),
    `${md5}&ts=${nowS}`,
    `token=&ts=${nowS}`,
    md5Other,
    "filename=x.css",
  ];
  return [
    ...spellingsOf(file, free).flatMap((path) => [
      get(path),
      get(`${path}?${query}`),
      get(`${path}?${other}`),
    ]),
    ...otherQueries.map((more) => get(`/${file}?${more}`)),
    ...[`;${query}`, `#?${query}`, `%3f${query}`].map((more) =>
      get(`/${file}${more}`)
    ),
    get(`/${file}`, { "range": "bytes=0-0" }),
    get(`/${file}?${old}`, { "range": "bytes=0-0" }),
    get(`/${file}?${old}`, { "if-none-match": etag }),
    get(`/${file}`, { "if-none-match": "*" }),
    get(`/${file}`, { "x-accel-redirect": `/.kedge/${file}` }),
    get(`/${file}`, { "x-original-uri": `/${free}` }),
    get(`/${file}`, { "x-kedge-accel": "1", "host": "127.0.0.1" }),
    ...["POST", "PUT", "DELETE", "PROPFIND", "TRACE", "get"].map((
      method,
    ) => ({
      line: `${method} /${file}?${query} HTTP/1.1`,
      headers: {},
    })),
    { line: `HEAD /${file}?${old} HTTP/1.1`, headers: {} },
    { line: `GET /${file} HTTP/1.0`, headers: {} },
    { line: `GET /${file}`, headers: {} },
  ];
}

/**
 * Other spellings of the path of a file that needs a link, as raw targets.
 *
 * @param free A file that needs none.
 */
function spellingsOf(file: string, free: string): string[] {
  const inside = file.slice("group1/".length);
  const at = file.lastIndexOf("/");
  const [folder, name] = [file.slice(0, at), file.slice(at + 1)];
  const low = folder.slice(-2);
  return [
    ...[`//${file}`, `/group1//${inside}`, `/${folder}/./${name}`],
    ...[`/${folder}/../${low}/${name}`, `/${folder}/x/%2e%2e/${name}`],
    ...[`/${folder}/%2e/${name}`, `/${folder}/x/%2E%2E/${name}`],
    ...[`/${folder}/x%2f..%2f${name}`, `/${folder}%2f${name}`],
    ...[`/${folder}\\${name}`, `/%67roup1/${inside}`],
    `/${folder}/%${name.charCodeAt(0).toString(16)}${name.slice(1)}`,
    ...["%00", "%00.css", "/x.css", ";.css", "%3f.css", "%20", "."].map((end) =>
      `/${file}${end}`
    ),
    ...[`/${file.toLowerCase()}`, `/${file.toUpperCase()}`],
    ...[`/${file.replace("mp4", "MP4")}`, `/group1/m${inside.slice(1)}`],
    ...[`/.kedge/${file}`, `/%2ekedge/${file}`, `/group1/../.kedge/${file}`],
    ...[`/${free}/../${name}`, `/${free}/%2e%2e/${name}`, `/${inside}`],
    `http://x/.kedge/${file}`,
  ];
}
