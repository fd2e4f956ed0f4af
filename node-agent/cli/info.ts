/** `kedge info`: what is known of a file. */

import type { FileInfo } from "@kedge/schema";
import { parseFileId } from "@kedge/schema/file-id";
import { parse } from "./args.ts";
import { CONNECTION } from "./client/connection.ts";
import { fileInfo } from "./client/downloader.ts";
import { openClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { plainText } from "./text/table.ts";
import { sizeText } from "./text/units.ts";

const OPTIONS = {
  "id-only": { kind: "flag", help: "what the ID says; nobody is asked" },
  ...CONNECTION,
} as const;

/** See the module comment. */
export const info: Command = {
  name: "info",
  summary: "show what is known of a file",
  usage: ["info [--id-only] ID…"],
  about:
    `Asks a replica for size, checksums, type, origin and metadata. With --id-only
nobody is asked: what the ID itself says, also of FastDFS's files.`,
  options: OPTIONS,
  examples: [
    ["kedge info group1/M00/02/44/….jpg", "one file"],
    [
      "kedge info --id-only ID",
      "is it well formed, when and where was it made",
    ],
    ["kedge info --json ID | jq .sha256", "for scripts"],
  ],
  exits: ["notFound", "unreachable"],
  reads: true,

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    if (words.length === 0) throw new UsageError("Missing ID");
    if (values["id-only"]) {
      for (const id of words) {
        const facts = factsOf(id);
        context.out.line(values.json ? JSON.stringify(facts) : rowsText(facts));
      }
      return EXIT.ok;
    }
    const client = await openClient(values, context);
    for (const id of words) {
      const found = await fileInfo(client, id);
      context.out.line(values.json ? JSON.stringify(found) : infoText(found));
    }
    return EXIT.ok;
  },
};

/** The lines for people. */
export function infoText(file: FileInfo): string {
  const rows: [string, string | null][] = [
    ["id", file.id],
    ["name", file.name],
    ["size", `${file.size} (${sizeText(file.size)})`],
    ["type", file.type],
    ["sha256", file.sha256],
    ["crc32", file.crc32.toString(16).padStart(8, "0")],
    ["created", file.created],
    ["origin", originText(file)],
    ["version", String(file.version)],
    ["appender", file.appender ? "yes" : null],
    ["master", file.master],
    ...Object.entries(file.meta).map(([name, value]): [string, string] => [
      `meta ${name}`,
      value,
    ]),
  ];
  return rows.flatMap(([name, value]) =>
    value === null ? [] : [`${plainText(name).padEnd(9)} ${plainText(value)}`]
  ).join("\n");
}

/** Files that were imported say which storage of FastDFS made them. */
function originText({ id, origin, group }: FileInfo): string {
  const named = parseFileId(id)?.origin;
  return typeof named === "string"
    ? `FastDFS storage ${named}`
    : `node ${origin} of ${group}`;
}

/** What an ID says of its file. */
function factsOf(text: string): Record<string, string | number | null> {
  const id = parseFileId(text);
  if (id === undefined) throw new UsageError(`"${text}" is not a file ID`);
  const { origin, createdS, sizeBytes, crc32 } = id;
  return {
    id: text,
    kind: id.kind,
    group: id.group,
    path: `M${id.pathIndex.toString(16).toUpperCase().padStart(2, "0")}`,
    origin: typeof origin === "number" ? `node ${origin}` : origin,
    created: new Date(createdS * 1000).toISOString(),
    size: sizeBytes ?? null,
    crc32: crc32.toString(16).padStart(8, "0"),
  };
}

function rowsText(facts: Readonly<Record<string, string | number | null>>) {
  return Object.entries(facts).map(([name, value]) =>
    `${name.padEnd(9)} ${plainText(String(value ?? "not said"))}`
  ).join("\n");
}
