/** What `kedge start` prints for people: lines to paste. */

import type { RunningAgent } from "./local_cluster.ts";

/** What the lines are made of. */
export interface HintFacts {
  readonly tracker: string;
  readonly agents: readonly RunningAgent[];
  readonly trackerPid: number;
  /** Data directory as the user wrote it. */
  readonly data: string;
  readonly access: "open" | "key";
  /** Authority that curl must be told. */
  readonly caFile: string | undefined;
}

/** Where the commands look for a cluster when nothing else is said. */
const DEFAULT_DATA = "./kedge-data";

/** What a command has to be told to find a cluster that lies elsewhere. */
function environment(data: string): string {
  return data === DEFAULT_DATA ? "" : `KEDGE_DATA=${word(data)} `;
}

/** One word of a shell. */
function word(text: string): string {
  return /^[\w./:%,@+-]+$/.test(text)
    ? text
    : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Ready-to-paste lines: upload, read from every node, kill, heal. */
export function hintLines(facts: HintFacts): string[] {
  const { tracker, agents, data } = facts;
  const ca = facts.caFile === undefined
    ? ""
    : ` --cacert ${word(facts.caFile)}`;
  const key = facts.access === "key"
    ? ` -H "Authorization: Bearer $(cat ${word(`${data}/admin.key`)})"`
    : "";
  const victim = agents.at(-1);
  return [
    "",
    `  tracker  ${tracker}  (process ${facts.trackerPid})`,
    ...agents.map(({ node, group, url, pid }) =>
      `  node ${node}   ${url}  ${group}  (process ${pid})`
    ),
    "",
    "Upload a file; the answer has its ID:",
    `  curl -sSL${ca}${key} -T README.md ${tracker}/v1/files/README.md`,
    "",
    "Read it through the tracker, then from every node:",
    `  curl -sSL${ca} ${tracker}/ID`,
    ...agents.map(({ url }) => `  curl -sS${ca} ${url}/ID`),
    "",
    ...(victim === undefined ? [] : [
      "Kill a node; nothing is lost, and it comes back by itself:",
      `  kill -9 ${victim.pid}`,
      "",
    ]),
    "See who is alive and in sync:",
    `  ${environment(data)}deno task kedge status`,
    "",
    `Data is in ${data}, logs in ${data}/log. Ctrl-C stops everything.`,
  ];
}
