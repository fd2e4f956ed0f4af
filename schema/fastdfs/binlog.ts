/**
 * FastDFS's binlog, `BASE_PATH/data/sync/binlog.NNN`: the only place that has
 * the names of packed files.
 *
 * ```text
 * <unix seconds> <op> <Mpp/HH/LL/name>[ <argument> …]
 * ```
 *
 * @module
 */

/** What a line says. */
export interface BinlogLine {
  /** Upper case: made by a client there; lower case: by replication. */
  readonly operation: string;
  /** Without the group. */
  readonly name: string;
  /** The name before, when an appender file became a normal one (`R`). */
  readonly before?: string;
}

const NAME = "M[0-9A-F]{2}/[0-9A-F]{2}/[0-9A-F]{2}/[A-Za-z0-9._-]{1,96}";
const LINE = new RegExp(
  `^\\d{1,10} ([A-Za-z]) (${NAME})(?: (?:(${NAME})|[^\\n]*))?$`,
);

const RENAMED: ReadonlySet<string> = new Set(["R", "r"]);

/** Read a line without its end; `undefined` when it says nothing. */
export function readBinlogLine(line: string): BinlogLine | undefined {
  const [, operation, name, other] = LINE.exec(line) ?? [];
  if (operation === undefined || name === undefined) return undefined;
  const isRenamed = RENAMED.has(operation) && other !== undefined;
  return { operation, name, ...isRenamed ? { before: other } : {} };
}

/** Write a line, with its end. */
export function encodeBinlogLine(
  atS: number,
  { operation, name, before }: BinlogLine,
): string {
  const more = before === undefined ? "" : ` ${before}`;
  return `${atS} ${operation} ${name}${more}\n`;
}

/** Names of the files of a folder of binlogs, oldest first. */
export function binlogFiles(names: Iterable<string>): string[] {
  return [...names].filter((name) => /^binlog\.\d{3}(?:\.gz)?$/.test(name))
    .sort();
}
